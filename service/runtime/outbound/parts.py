"""What a run has done so far: a file for each chunk, beside the result, and one file of all at the end.

A part stands under its name only when it is whole and on the disk. So the folder is the journal of the run:
what is there is done, and the rest is not. A part is never replaced by anything but the same again.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pyarrow as pa

from feature_store.progress import Progress, silent
from service.runtime.outbound.errors import OutboundError
from service.runtime.outbound.order import Order
from service.runtime.outbound.rows import Writer, metadata, read
from service.runtime.outbound.tally import Tally

TALLY, ORDER = "arbiter.tally", "arbiter.order"
"""What a part, and what the result says of itself."""
GROUP_ROWS = 100_000
"""Of a row group of the result, at least."""


class Parts:
    """The folder of a run."""

    def __init__(self, out: Path) -> None:
        self.out, self.folder = out, out.with_name(f"{out.name}.parts")
        self._order = self.folder / "order.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs from the folder.

        Raises:
            OutboundError: another one is at it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OutboundError(f"another run is writing {self.out}") from None
            yield

    def begun(self) -> Order | None:
        """The order of the run that has not ended; None: there is none.

        Raises:
            OutboundError: it is no order that this version can go on with.
        """
        try:
            return Order.unpack(self._order.read_bytes())
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise OutboundError(f"{self._order} is no order that can be gone on with: {error}") from error

    def begin(self, order: Order) -> None:
        """Write down what is to be done."""
        draft = self._order.with_suffix(".draft")
        draft.write_bytes(order.pack())
        _put(draft, self._order)

    def forget(self) -> None:
        """Throw away what was done, and a result that is there already."""
        self.out.unlink(missing_ok=True)
        self._order.unlink(missing_ok=True)
        for part in self.folder.glob("*.parquet"):
            part.unlink()

    def keep(self, number: int, answers: pa.Table, tally: Tally) -> None:
        """Put down what came of a chunk."""
        path = self.folder / f"{number:07}.parquet"
        draft = path.with_name(f"{path.stem}.{os.getpid()}")
        with Writer(draft, answers.schema, {TALLY: tally.pack().decode()}) as writer:
            writer.write_table(answers)
        _put(draft, path)

    def done(self) -> dict[int, Tally]:
        """What came of the chunks that are done, by their numbers."""
        return {
            int(path.stem): Tally.unpack(metadata(path)[TALLY.encode()])
            for path in self.folder.glob("*.parquet")
        }

    def join(self, order: Order, progress: Progress = silent) -> None:
        """Make one file of all parts, in their order, and let go of them."""
        paths = sorted(self.folder.glob("*.parquet"), key=lambda path: int(path.stem))
        draft = self.folder / "joined"
        waiting: list[pa.Table] = []
        with Writer(draft, read(paths[0]).schema, {ORDER: order.pack().decode()}) as writer:
            for number, path in enumerate(paths, start=1):
                waiting.append(read(path))
                if number == len(paths) or sum(table.num_rows for table in waiting) >= GROUP_ROWS:
                    writer.write_table(pa.concat_tables(waiting))
                    waiting.clear()
                progress(f"writing {self.out.name}", number, len(paths))
        _put(draft, self.out)
        shutil.rmtree(self.folder)


def _put(draft: Path, path: Path) -> None:
    """Give a file its name once it is on the disk."""
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
