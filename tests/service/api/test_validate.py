"""A changed workspace is checked over HTTP, and nothing changes."""

import io
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.workspace.archive import Archive
from service.workspace.loading import Workspace

PATH = "/v1/catalogue/validate"


@pytest.fixture
def files(world: Workspace) -> dict[str, str]:
    """The files of the workspace that serves."""
    return {name: content.decode() for name, content in Archive.of(world.folder).files.items()}


def zipped(files: dict[str, str], prefix: str = "") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(prefix + name, text)
    return buffer.getvalue()


def checked(client: httpx.Client, files: dict[str, str]) -> Any:
    response = client.post(PATH, json={"files": files})
    assert response.status_code == 200, response.text
    return response.json()


def test_the_workspace_that_serves_is_valid(
    client: httpx.Client, files: dict[str, str], world: Workspace
) -> None:
    found = checked(client, files)
    assert found["valid"] is True
    assert found["errors"] == []
    assert found["version"] == world.catalogue.version


def test_every_error_is_told_with_its_place_and_nothing_changes(
    client: httpx.Client, files: dict[str, str], world: Workspace
) -> None:
    found = checked(
        client, {**files, "policies.yaml": "arbitration: {valu: false}\nconditions: {a: 1 + 1}\n"}
    )
    assert found["valid"] is False
    assert found["version"] is None
    assert [(e["file"], e["line"], e["path"]) for e in found["errors"]] == [
        ("policies.yaml", 1, "arbitration.valu")
    ]
    assert client.get("/v1/catalogue").json()["version"] == world.catalogue.version


def test_warnings_are_told_and_do_not_make_it_invalid(client: httpx.Client, files: dict[str, str]) -> None:
    found = checked(client, {**files, "policies.yaml": "emergency_exclusion: [action_1]\n"})
    assert found["valid"] is True
    assert [(w["file"], w["line"]) for w in found["warnings"]] == [("policies.yaml", 1)]
    assert found["version"]


@pytest.mark.parametrize("prefix", ["", "world/"])
def test_a_zip_archive_of_the_folder_will_do(
    client: httpx.Client, files: dict[str, str], world: Workspace, prefix: str
) -> None:
    body = zipped({**files, "customers.parquet": "x", "../../escape.yaml": "x"}, prefix)
    response = client.post(PATH, content=body, headers={"content-type": "application/zip"})
    assert response.status_code == 200, response.text
    found = response.json()
    assert found["valid"] is True
    assert found["version"] == world.catalogue.version
    assert found["ignored"] == ["../../escape.yaml", "customers.parquet"]


def test_a_schema_that_the_serving_models_can_not_read_is_an_error(
    client: httpx.Client, files: dict[str, str]
) -> None:
    changed = files["features.yaml"].replace("levels: [home", "levels: [start")
    assert changed != files["features.yaml"] or "- home" in changed
    if changed == files["features.yaml"]:
        changed = changed.replace("- home\n", "- start\n", 1)
    found = checked(client, {**files, "features.yaml": changed})
    assert found["valid"] is False
    assert {e["file"].partition("/")[0] for e in found["errors"]} == {"models"}


@pytest.mark.parametrize(
    ("headers", "body", "status", "kind"),
    [
        ({"content-type": "application/zip"}, b"PK no archive", 400, "not-zip"),
        ({"content-type": "application/zip"}, zipped({"features.yaml": "#" * 21_000_000}), 400, "not-zip"),
        ({"content-type": "application/json"}, b"{", 400, "not-json"),
        ({"content-type": "application/json"}, b'{"files": {"a": 1}}', 422, "invalid-body"),
        ({"content-type": "text/yaml"}, b"a: 1", 415, "unsupported-media-type"),
    ],
)
def test_a_body_that_is_no_workspace_is_refused(
    client: httpx.Client, headers: dict[str, str], body: bytes, status: int, kind: str
) -> None:
    response = client.post(PATH, content=body, headers=headers)
    assert response.status_code == status, response.text
    assert response.json()["type"] == f"urn:arbiter:problem:{kind}"


ALIASES = "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 500_000,
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + ALIASES,
        "a: " + "1:" * 400_000 + "1",
    ],
    ids=["deep", "many", "long"],
)
def test_files_that_would_take_the_service_down_are_refused(
    client: httpx.Client, files: dict[str, str], text: str
) -> None:
    found = checked(client, {**files, "policies.yaml": text})
    assert found["valid"] is False
    assert [e["file"] for e in found["errors"]] == ["policies.yaml"]


def test_nothing_of_this_machine_is_told(client: httpx.Client) -> None:
    found = checked(client, {})
    assert found["errors"][0]["message"] == "the workspace is not a workspace: it has no features.yaml"
    assert str(Path("/tmp")) not in str(found)
