import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_store.schema import FeatureSchema, FeatureType
from models.errors import ModelError, ModelRefused, PreloadRefused
from models.manifest import content_hash
from models.package import GoldenRows
from models.registry import Registry
from models.spec import ModelSpec
from models.table import History
from models.training import train

Change = Callable[[dict[str, Any]], None]


def home(registry: Registry, name: str = "sales") -> Path:
    return registry.folder / name / registry.champion(name)


def altered(schema: FeatureSchema, feature: str, **changes: object) -> FeatureSchema:
    """The schema with one feature declared otherwise."""
    return FeatureSchema(
        tuple(replace(f, **changes) if f.name == feature else f for f in schema.features)  # type: ignore[arg-type]
    )


def reason(registry: Registry, schema: FeatureSchema, name: str = "sales") -> str:
    with pytest.raises(ModelRefused) as caught:
        registry.load(name, schema)
    assert caught.value.name == name
    return caught.value.reason


def forge(registry: Registry, change: Change) -> None:
    """Change a manifest and give its version the hash that the changed content has."""
    folder = home(registry)
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    manifest["version"] = f"{folder.name[:-8]}{content_hash(manifest)}"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    folder.rename(folder.with_name(manifest["version"]))
    (registry.folder / "sales" / "champion").write_text(manifest["version"])


def test_a_loaded_model_gives_the_scores_that_it_gave_when_it_was_trained(
    trained: Registry, schema: FeatureSchema
) -> None:
    model = trained.load("sales", schema)
    golden = GoldenRows.parse((home(trained) / "golden.npz").read_bytes())
    assert golden.rows.shape == (125, model.bind(schema).width)
    np.testing.assert_array_equal(model.score(golden.rows), golden.scores)


def test_golden_rows_hold_unseen_codes_and_missing_values(trained: Registry) -> None:
    rows = GoldenRows.parse((home(trained) / "golden.npz").read_bytes()).rows
    assert np.isnan(rows).all(axis=1).any()
    assert (np.isnan(rows[:, -2:]).all(axis=1) & ~np.isnan(rows).all(axis=1)).any()


def test_publishing_and_loading_keeps_every_score(
    history: History, specs: dict[str, ModelSpec], schema: FeatureSchema, tmp_path: Path
) -> None:
    table = history.table(specs["service"], ["call_back"])
    registry = Registry(tmp_path)
    staged = train(table, specs["service"])
    version = registry.publish(staged)
    model = registry.load("service", schema, version)
    golden = GoldenRows.parse(staged.golden)
    np.testing.assert_array_equal(model.score(golden.rows), golden.scores)
    assert model.manifest.data.sha256 == table.sha256


def test_a_version_is_never_written_twice(
    history: History, specs: dict[str, ModelSpec], tmp_path: Path
) -> None:
    staged = train(history.table(specs["service"], ["call_back"]), specs["service"])
    registry = Registry(tmp_path)
    version = registry.publish(staged)
    with pytest.raises(ModelError, match=f"has a version {version} already"):
        registry.publish(staged)
    assert [path.name for path in (tmp_path / "service").iterdir()] == [version]


def test_the_champion_moves_forward_and_back(registry: Registry) -> None:
    first = registry.champion("sales")
    second = "20300101T000000Z-00000000"
    (registry.folder / "sales" / second).mkdir()
    registry.promote("sales", second)
    assert registry.champion("sales") == second
    registry.promote("sales", first)
    assert registry.champion("sales") == first
    assert sorted(path.name for path in (registry.folder / "sales").iterdir()) == [
        first,
        second,
        "champion",
        "promotions.jsonl",
    ]


def test_what_does_not_exist_can_not_be_promoted_or_loaded(registry: Registry, schema: FeatureSchema) -> None:
    with pytest.raises(ModelRefused, match=r"no such version .* \(latest: 2"):
        registry.promote("sales", "20300101T000000Z-00000000")
    with pytest.raises(ModelRefused, match=r"no such version"):
        registry.load("sales", schema, "../service")


def test_a_model_of_another_name_is_suggested(trained: Registry) -> None:
    with pytest.raises(ModelRefused, match=r"there is no such model in .*; did you mean 'sales'\?"):
        trained.champion("sale")


def test_a_registry_that_is_not_there_has_no_models(tmp_path: Path) -> None:
    assert Registry(tmp_path / "none").names() == []
    assert Registry(tmp_path / "none").versions("sales") == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "none of its versions has been promoted"), ("../../etc", "does not name a version"), ("", "''")],
)
def test_a_damaged_champion_pointer_is_refused(
    registry: Registry, schema: FeatureSchema, content: str | None, complaint: str
) -> None:
    pointer = registry.folder / "sales" / "champion"
    pointer.unlink() if content is None else pointer.write_text(content)
    assert complaint in reason(registry, schema)


@pytest.mark.parametrize("file", ["model.txt", "golden.npz", "manifest.json"])
def test_a_missing_file_is_named(registry: Registry, schema: FeatureSchema, file: str) -> None:
    (home(registry) / file).unlink()
    assert reason(registry, schema) == f"{file} is missing"


@pytest.mark.parametrize("file", ["model.txt", "golden.npz"])
def test_a_truncated_file_is_refused_with_its_sizes(
    registry: Registry, schema: FeatureSchema, file: str
) -> None:
    path = home(registry) / file
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert reason(registry, schema) == f"{file} is truncated: {len(whole) // 2} bytes instead of {len(whole)}"


@pytest.mark.parametrize("file", ["model.txt", "golden.npz"])
def test_one_changed_byte_is_enough_to_be_refused(
    registry: Registry, schema: FeatureSchema, file: str
) -> None:
    path = home(registry) / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert reason(registry, schema) == (
        f"{file} was changed after training: its SHA-256 is not the manifest's"
    )


def test_a_truncated_manifest_is_refused(registry: Registry, schema: FeatureSchema) -> None:
    path = home(registry) / "manifest.json"
    path.write_text(path.read_text()[:500])
    assert "manifest.json is not JSON" in reason(registry, schema)


@pytest.mark.parametrize("content", ["null", "[]", "{}", '"text"'])
def test_json_that_is_no_manifest_is_refused(registry: Registry, schema: FeatureSchema, content: str) -> None:
    (home(registry) / "manifest.json").write_text(content)
    assert "manifest.json is not a manifest" in reason(registry, schema)


def test_a_calibration_that_was_changed_by_hand_is_refused(registry: Registry, schema: FeatureSchema) -> None:
    path = home(registry) / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["calibration"]["slope"] *= 1.01
    path.write_text(json.dumps(manifest))
    assert "manifest.json was changed after training" in reason(registry, schema)


def test_a_version_folder_that_was_renamed_is_refused(registry: Registry, schema: FeatureSchema) -> None:
    folder = home(registry)
    renamed = folder.with_name("20300101T000000Z" + folder.name[-9:])
    folder.rename(renamed)
    registry.promote("sales", renamed.name)
    assert reason(registry, schema) == f"manifest.json is that of model 'sales' version {folder.name}"


def _steeper(manifest: dict[str, Any]) -> None:
    manifest["calibration"]["slope"] *= 1.01


def _unknown_kind(manifest: dict[str, Any]) -> None:
    manifest["kind"] = "oracle"


def _fewer_inputs(manifest: dict[str, Any]) -> None:
    del manifest["inputs"][0]


def _narrower(manifest: dict[str, Any]) -> None:
    del manifest["inputs"][0], manifest["features"][0]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_steeper, "of 125 golden rows get other scores than in training, first row 0:"),
        (_unknown_kind, "no scorer for models of the kind 'oracle' (there is: lightgbm, onnx, scorecard)"),
        (_fewer_inputs, "manifest.json lists inputs that are not the columns of its features"),
        (_narrower, "model.txt reads 10 columns, but the manifest lists 9"),
    ],
)
def test_a_model_whose_parts_do_not_belong_together_is_refused_though_its_hashes_are_right(
    registry: Registry, schema: FeatureSchema, change: Change, complaint: str
) -> None:
    forge(registry, change)
    assert complaint in reason(registry, schema)


def test_a_model_that_scores_otherwise_than_in_training_is_refused(
    registry: Registry, schema: FeatureSchema, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a LightGBM would that reads its own old files in another way."""
    from models import lightgbm_library

    real = lightgbm_library.NativeBooster.margins
    monkeypatch.setattr(
        lightgbm_library.NativeBooster, "margins", lambda booster, rows: real(booster, rows) + 1e-3
    )
    assert "of 125 golden rows get other scores than in training" in reason(registry, schema)


def test_a_model_that_reads_a_feature_that_is_gone_is_refused_with_the_likely_name(
    trained: Registry, schema: FeatureSchema
) -> None:
    renamed = reason(trained, altered(schema, "visits", name="visits_30d"))
    assert "reads the feature 'visits', which is not in features.yaml; did you mean 'visits_30d'?" in renamed


@pytest.mark.parametrize(
    ("feature", "changes", "complaint"),
    [
        (
            "segment",
            {"levels": ("consumer", "enterprise", "soho")},
            "'segment': its levels were [consumer, soho, enterprise] in training and are [consumer, e",
        ),
        ("page", {"levels": ("home",)}, "feature 'page': its levels were [home, cart]"),
        (
            "products",
            {"members": ("mobile", "tv")},
            "feature 'products': its members [fibre] of training are gone",
        ),
        (
            "age",
            {"type": FeatureType.TIMESTAMP},
            "feature 'age': it was a number in training and is a timestamp",
        ),
    ],
)
def test_a_feature_that_means_something_else_now_is_refused(
    trained: Registry, schema: FeatureSchema, feature: str, changes: dict[str, Any], complaint: str
) -> None:
    refused = reason(trained, altered(schema, feature, **changes))
    assert complaint in refused
    assert refused.endswith("train it afresh")


def test_every_mismatch_is_told_at_once(trained: Registry, schema: FeatureSchema) -> None:
    changed = altered(altered(schema, "page", levels=("home",)), "age", type=FeatureType.FLAG)
    refused = reason(trained, changed)
    assert "'page'" in refused
    assert "'age'" in refused


def test_a_model_survives_new_features_levels_and_members_and_another_order(
    trained: Registry, schema: FeatureSchema
) -> None:
    grown = altered(schema, "page", levels=("home", "cart", "help"))
    grown = altered(grown, "products", members=("tv", "mobile", "fibre"))
    grown = FeatureSchema(grown.features[::-1])
    model = trained.load("sales", grown)
    columns = [grown.columns[column] for column in model.bind(grown).columns]
    assert columns == list(schema.columns)


def test_preloading_gives_every_model_that_was_asked_for(trained: Registry, schema: FeatureSchema) -> None:
    models = trained.preload(["sales", "service", "sales"], schema)
    assert list(models) == ["sales", "service"]
    assert models["sales"].action_codes == {"fibre": 0, "mobile": 1, "tablet": 2}
    assert models["service"].channel_codes == {"email": 0, "web": 1}
    assert models["service"].manifest.positive == ("accept",)


def test_one_bad_model_keeps_all_of_them_from_serving_and_every_reason_is_given(
    registry: Registry, schema: FeatureSchema
) -> None:
    (home(registry, "service") / "model.txt").write_text("tree\n")
    with pytest.raises(PreloadRefused) as caught:
        registry.preload(["sales", "service", "retention"], schema)
    assert [refusal.name for refusal in caught.value.refusals] == ["service", "retention"]
    assert "model 'service' version 2" in str(caught.value)
    assert "model.txt is truncated" in str(caught.value)


def test_a_registry_that_can_not_be_written_says_so(
    history: History, specs: dict[str, ModelSpec], tmp_path: Path
) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(ModelError, match=r"model 'service' can't be written to .*: Not a directory"):
        Registry(tmp_path / "models").publish(
            train(history.table(specs["service"], ["call_back"]), specs["service"])
        )


def test_a_publisher_that_is_killed_leaves_no_version_behind(registry: Registry, tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from models import package, registry
staged = package.StagedModel(
    package.Manifest.model_validate_json(Path({str(home(registry) / "manifest.json")!r}).read_bytes()),
    b"model", b"golden")
Path.rename = lambda *_: os._exit(9)
registry.Registry(Path({str(tmp_path / "fresh")!r})).publish(staged)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert Registry(tmp_path / "fresh").names() == []
