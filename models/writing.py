"""Writing the files of a registry, so that a crash leaves each of them whole or not there."""

import contextlib
import os
import secrets
from pathlib import Path

from models.errors import ModelError


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is on the disk when this returns, and that nobody changes by accident."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o444)


def replace(path: Path, content: bytes) -> None:
    """Write a small file, whole or not at all, in the place of one that may be there.

    Raises:
        ModelError: the folder can't be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write_new(draft, content)
        draft.replace(path)
        sync(path.parent)
    except OSError as error:
        raise ModelError(f"{path} can't be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def append(path: Path, line: str) -> None:
    """Add a line that is on the disk when this returns.

    Raises:
        ModelError: the file can't be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ModelError(f"{path} can't be written: {error.strerror}") from error


def sync(folder: Path) -> None:
    """Put a folder's entries on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
