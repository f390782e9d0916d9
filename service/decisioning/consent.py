"""Consent: for what purpose, in what channel, a customer has agreed to be addressed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feature_store.consents import DENIED, GRANTED, UNKNOWN
from service.decisioning.batch import Batch
from service.decisioning.removal import remove_at
from service.decisioning.rules.program import Columns
from service.decisioning.stages import Removal, Stage

STATES = {GRANTED: "granted", DENIED: "denied", UNKNOWN: "unknown"}


@dataclass(frozen=True)
class Imported:
    """What holds where the store knows nothing: places of the columns that tell where it is granted and where
    it is denied. Where it is neither, consent stays unknown."""

    granted: int
    denied: int
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Purpose:
    """Something that needs consent: `needs` (C x A) tells in which channels for which actions. `unknown` is
    how a customer counts of whom nothing is known."""

    name: str
    meaning: str
    needs: NDArray[np.bool_]
    unknown: int = DENIED
    imported: tuple[Imported | None, ...] = ()

    @property
    def removal(self) -> Removal:
        return Removal(Stage.CONSENT, self.name, self.meaning, purpose=self.name)

    def remove(
        self, position: int, batch: Batch, computed: Columns, code: int, removed_by: NDArray[np.int32]
    ) -> None:
        """Take out (in place, n x A) what may not be said. `position` is that of the purpose in
        `batch.consents`."""
        state = self.states(position, batch, computed)
        refused = state == DENIED
        if self.unknown == DENIED:
            refused |= state == UNKNOWN
        rows = refused.nonzero()[0]
        remove_at(removed_by, rows, self.needs[batch.channel[rows]], code)

    def states(self, position: int, batch: Batch, computed: Columns) -> NDArray[np.int8]:
        """The consent of each request in its channel: as it is stored, or else as it was imported."""
        if batch.consents is None:
            state = np.full(len(batch), UNKNOWN, np.int8)
        else:
            state = batch.consents[np.arange(len(batch)), position, batch.channel]
        for channel, imported in enumerate(self.imported):
            if imported is not None:
                open_here = (state == UNKNOWN) & (batch.channel == channel)
                state[open_here & computed[imported.granted]] = GRANTED
                state[open_here & computed[imported.denied]] = DENIED
        return state
