"""The files of a workspace as a version."""

from pathlib import Path

from service.workspace.archive import Archive
from service.workspace.loading import load_workspace

from .conftest import Files


def test_the_version_changes_with_every_file_that_a_business_writes(files: Files) -> None:
    versions = {Archive.of(files.folder).version}
    paths = sorted(files.folder.rglob("*.yaml"))
    assert len(paths) > 3
    for path in paths:
        path.write_text(path.read_text() + "\n# another word\n")
        versions.add(Archive.of(files.folder).version)
    assert len(versions) == len(paths) + 1


def test_what_is_no_part_of_the_workspace_changes_nothing(files: Files) -> None:
    before = Archive.of(files.folder).version
    (files.folder / "notes.txt").write_text("mine")
    (files.folder / "models").mkdir()
    (files.folder / "models" / "champion").write_text("v1")
    assert Archive.of(files.folder).version == before


def test_a_packed_archive_makes_the_same_workspace(files: Files, tmp_path: Path) -> None:
    archive = Archive.of(files.folder)
    again = Archive.unpacked(archive.packed())
    assert again == archive
    assert archive.packed() == again.packed()
    again.write(tmp_path / "copy")
    assert load_workspace(tmp_path / "copy").catalogue == load_workspace(files.folder).catalogue


def test_the_catalogue_says_the_version_of_all_files(files: Files) -> None:
    assert load_workspace(files.folder).catalogue.version == Archive.of(files.folder).version
