"""What would be wrong with a workspace that somebody sends: errors and warnings, without a change of
anything."""

import io
import re
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from feature_store.documents import Problem, WorkspaceError
from models.errors import PreloadRefused
from service.workspace.archive import Archive
from service.workspace.lint import warnings
from service.workspace.loading import Workspace, load_workspace

READ = re.compile(r"((features|channels|models|policies|experiments)\.yaml|actions/[^/\\\0]{1,60}\.yaml)")
"""The files of a workspace; others are not looked at, and never written anywhere."""
MOST_BYTES = 20_000_000
"""Of all files of a ZIP archive together, unpacked."""


class BadArchive(ValueError):
    """Bytes that are no ZIP archive, or one that nobody should unpack."""


@dataclass(frozen=True)
class Checked:
    """What was found. Without errors the files could serve, as the version that is given."""

    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()
    version: str | None = None
    ignored: tuple[str, ...] = ()


def unpacked(packed: bytes) -> dict[str, bytes]:
    """The files of a ZIP archive by their paths; a folder in which all of them lie does not count.

    Raises:
        BadArchive: it is none, or too large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
                raise BadArchive(f"the files of the ZIP archive have more than {MOST_BYTES:,} bytes")
        files = Archive.unpacked(packed).files
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise BadArchive(f"the body is no ZIP archive that can be read: {error}") from error
    files = {name: content for name, content in files.items() if not name.endswith("/")}
    tops = {name.partition("/")[0] for name in files}
    if len(tops) == 1 and all("/" in name for name in files) and tops != {"actions"}:
        return {name.partition("/")[2]: content for name, content in files.items()}
    return files


def check(files: Mapping[str, bytes], live: Workspace, now: float) -> Checked:
    """Read a whole workspace as a reload would, with the champions of the live one. `now`, in epoch seconds,
    tells what has ended."""
    known = {name: content for name, content in files.items() if READ.fullmatch(name)}
    ignored = tuple(sorted(set(files) - set(known)))
    with tempfile.TemporaryDirectory() as folder:
        Archive(known).write(Path(folder))
        try:
            workspace = load_workspace(Path(folder))
        except WorkspaceError as error:
            return Checked(tuple(_named(problem, folder) for problem in error.problems), ignored=ignored)
        return Checked(
            _refusals(workspace, live),
            tuple(warnings(workspace, now)),
            workspace.catalogue.version,
            ignored,
        )


def _named(problem: Problem, folder: str) -> Problem:
    """A problem that does not tell where on this machine its files were for a moment."""
    file, message = (text.replace(folder, "the workspace") for text in (problem.file, problem.message))
    return Problem(
        "" if file == "the workspace" else file, problem.line, problem.path, message, problem.column
    )


def _refusals(workspace: Workspace, live: Workspace) -> tuple[Problem, ...]:
    """The champions that could not serve with these files."""
    try:
        workspace.load_models(live.registry)
    except PreloadRefused as error:
        return tuple(Problem(f"models/{refusal.name}", 0, "", str(refusal)) for refusal in error.refusals)
    return ()
