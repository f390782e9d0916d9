"""Trials: versions of models that are tried out beside the champion, in one file of the registry.

A shadow scores what the champion scores and decides nothing. A challenger decides for a share of the
customers. All customers lie on one line, by a hash, and challengers own parts of it that never overlap,
whatever their models: so a customer is decided for by at most one of them, and what is different then comes
from that one. A share that grows moves nobody out, and one that shrinks moves only those that it gives up.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from models import writing
from models.errors import ModelError, ModelRefused

TRIALS = "trials.json"
LINE = 10_000
"""Places on the line of customers; a share is a whole number of them."""
MOST_CHALLENGERS = 10
"""At a time: each has a snapshot of its own, and takes its requests out of the batch of the others."""

Place = Annotated[int, Field(ge=0, le=LINE)]
Part = tuple[Place, Place]
"""From a place on up to another."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Trial(_Record):
    """A version that is tried out; `parts` are those of the line for which it decides, none for a shadow."""

    model: str
    version: str
    since: AwareDatetime
    parts: tuple[Part, ...] = ()

    @property
    def places(self) -> int:
        """How many places of the line it has."""
        return sum(end - start for start, end in self.parts)

    @property
    def share(self) -> float:
        """Of the customers, those for whom it decides; 0 for a shadow."""
        return self.places / LINE


class Trials(_Record):
    """All trials of a registry."""

    trials: tuple[Trial, ...] = ()

    @model_validator(mode="after")
    def _apart(self) -> Self:
        parts = sorted(self._taken())
        if any(start >= end for start, end in parts):
            raise ValueError("a part has to end behind its beginning")
        if any(one[1] > next_[0] for one, next_ in pairwise(parts)):
            raise ValueError("parts of challengers overlap")
        return self

    def of(self, model: str) -> dict[str, Trial]:
        """Those of a model, by version."""
        return {trial.version: trial for trial in self.trials if trial.model == model}

    def with_(self, model: str, version: str, places: int, now: datetime) -> Self:
        """The same with a version that decides for so many places of the line; with none it is a shadow.

        Raises:
            ModelRefused: other challengers leave fewer, or there are too many of them.
        """
        former, others = self.of(model).get(version), self.without(model, version)
        if places and sum(bool(trial.parts) for trial in others.trials) >= MOST_CHALLENGERS:
            raise ModelRefused(model, version, f"there are {MOST_CHALLENGERS} challengers already")
        parts = _fitted(former.parts if former else (), places)
        missing = places - sum(end - start for start, end in parts)
        for start, end in others._free(parts):
            taken = min(missing, end - start)
            if taken:
                parts = (*parts, (start, start + taken))
                missing -= taken
        if missing:
            free = (places - missing) / LINE
            raise ModelRefused(model, version, f"other challengers leave only {free:.2%} of the customers")
        trial = Trial(model=model, version=version, since=former.since if former else now, parts=parts)
        return self.model_copy(update={"trials": (*others.trials, trial)})

    def without(self, model: str, version: str) -> Self:
        """The same without a version."""
        kept = tuple(t for t in self.trials if (t.model, t.version) != (model, version))
        return self.model_copy(update={"trials": kept})

    def _taken(self) -> Iterator[Part]:
        for trial in self.trials:
            yield from trial.parts

    def _free(self, besides: tuple[Part, ...]) -> Iterator[Part]:
        """The parts of the line that nobody has."""
        place = 0
        for start, end in sorted([*self._taken(), *besides, (LINE, LINE)]):
            if start > place:
                yield place, start
            place = max(place, end)


def _fitted(parts: tuple[Part, ...], places: int) -> tuple[Part, ...]:
    """The first of some parts, up to so many places."""
    kept: tuple[Part, ...] = ()
    for start, end in parts:
        taken = min(places, end - start)
        if taken:
            kept = (*kept, (start, start + taken))
            places -= taken
    return kept


def read_trials(folder: Path) -> Trials:
    """The trials of a registry; nothing is tried out where there is no file.

    Raises:
        ModelError: it is something else.
    """
    path = folder / TRIALS
    try:
        return Trials.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Trials()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} can't be read: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ModelError(
            f"{path} is not a file of trials: {f'{place}: ' if place else ''}{first['msg']}; take it away, "
            "and begin the trials afresh"
        ) from error


def write_trials(folder: Path, trials: Trials) -> None:
    """Write the trials of a registry, whole or not at all.

    Raises:
        ModelError: the folder can't be written.
    """
    writing.replace(folder / TRIALS, f"{trials.model_dump_json(indent=2)}\n".encode())


@contextmanager
def changing(folder: Path) -> Iterator[Trials]:
    """The trials of a registry as they are, while nobody else changes them.

    Raises:
        ModelError: the folder can't be written, or their file is damaged.
    """
    try:
        lock = (folder / f".{TRIALS}.lock").open("ab")
    except OSError as error:
        raise ModelError(f"{folder} can't be written: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield read_trials(folder)
