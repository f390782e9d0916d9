"""A worker of a run: decides for one chunk of the table after the other."""

import numpy as np
import pyarrow as pa

from service.runtime.outbound.answers import NOTHING, Answers
from service.runtime.outbound.chunks import Chunk
from service.runtime.outbound.customers import customers_of
from service.runtime.outbound.deciding import ByTable, Decides
from service.runtime.outbound.errors import OutboundError
from service.runtime.outbound.order import From, Means, Order
from service.runtime.outbound.rows import rows
from service.runtime.outbound.signing import signed
from service.runtime.outbound.stored import ByStore
from service.runtime.outbound.tally import Tally
from service.runtime.population import Audience, context_row
from service.runtime.tokens import Signer
from service.workspace.loading import load_workspace


class Worker:
    """Decides as an order says.

    Raises:
        WorkspaceError, ModelError: the workspace can't be used.
        OutboundError: it is not that of the order.
    """

    def __init__(self, order: Order, means: Means) -> None:
        snapshot = load_workspace(order.workspace).snapshot()
        if snapshot.version != order.snapshot:
            raise OutboundError(f"{order.workspace} has changed since the run began")
        slots = {snapshot.catalogue.slot_index[order.channel, name]: n for name, n in order.limits.items()}
        context = context_row(snapshot.schema, order.context)
        audience = Audience(snapshot, order.channel, context, order.at, slots)
        self._order, self._snapshot = order, snapshot
        self._decides: Decides = ByTable(audience)
        if order.source is From.STORE:
            self._decides = ByStore(audience, means)
        self._signer = None if means.secret is None else Signer(means.secret)

    def decide(self, chunk: Chunk) -> tuple[pa.Table, Tally]:
        """The answers for the customers of a chunk, and what came of them.

        Raises:
            TableError: a column can't be what its name says.
            OutboundError: the store is away.
        """
        customers, tally = customers_of(chunk, self._order, self._snapshot.schema)
        answers = Answers(self._snapshot)
        accounts = self._decides.collect(customers, answers)
        _count(tally, answers)
        tokens = None
        if self._signer is not None:
            tokens = signed(self._signer, self._order, customers, accounts, answers)
        return rows(answers, customers, self._order.at, tokens), tally


def _count(tally: Tally, answers: Answers) -> None:
    """Count what is offered, and what is not."""
    columns = answers.columns
    tally.answered = len(np.unique(columns["customer"][columns["action"] != NOTHING]))
    tally.chosen = _counts(answers, "action")
    tally.empty = _counts(answers, "no_action_reason")


def _counts(answers: Answers, name: str) -> dict[str, int]:
    texts, positions = answers.texts(name), answers.columns[name]
    numbers = np.bincount(positions[positions != NOTHING], minlength=len(texts)).tolist()
    return {text: number for text, number in zip(texts, numbers, strict=True) if number}
