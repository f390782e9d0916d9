"""The files of a workspace as they were: what a version of it is made of, and kept as."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PATTERNS = (
    "features.yaml",
    "channels.yaml",
    "models.yaml",
    "policies.yaml",
    "experiments.yaml",
    "objectives.yaml",
    "actions/*.yaml",
)
"""Everything that a business writes; the models have versions of their own."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of everything in a packed archive: the same files make the same bytes."""


@dataclass(frozen=True)
class Archive:
    """The text of every file, by its path in the workspace."""

    files: Mapping[str, bytes]

    @classmethod
    def of(cls, folder: Path) -> "Archive":
        """The files of a workspace as they are now."""
        paths = sorted(path for pattern in PATTERNS for path in folder.glob(pattern) if path.is_file())
        return cls({path.relative_to(folder).as_posix(): path.read_bytes() for path in paths})

    @cached_property
    def version(self) -> str:
        """12 hexadecimal digits that change when a file does: BLAKE2b."""
        digest = hashlib.blake2b(digest_size=6)
        for name, content in self.files.items():
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()

    def packed(self) -> bytes:
        """All files as one ZIP archive."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.files.items():
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()

    @classmethod
    def unpacked(cls, packed: bytes) -> "Archive":
        """The archive that `packed` made.

        Raises:
            zipfile.BadZipFile: the bytes are none.
        """
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            return cls({name: archive.read(name) for name in archive.namelist()})

    def write(self, folder: Path) -> None:
        """Put the files into a folder."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
