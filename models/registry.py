"""The registry: a folder of models with immutable versions, and for each model a champion that serves.

<folder>/<name>/<version>/{model.txt, manifest.json, golden.npz}
<folder>/<name>/champion          names the version that serves
<folder>/<name>/promotions.jsonl  who became champion when, and how
<folder>/trials.json              the versions that are tried out beside their champions
"""

import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from feature_store.documents import did_you_mean
from feature_store.progress import Progress, silent
from feature_store.schema import FeatureSchema
from models import package, writing
from models.choosing import Choice
from models.errors import ModelError, ModelRefused, PreloadRefused
from models.manifest import CustomerManifest, Manifest
from models.model import CustomerModel, PropensityModel
from models.package import Form, StagedModel
from models.promotions import PROMOTIONS, How, Promotion, before, read_promotions
from models.trials import Trial, Trials, changing, read_trials, write_trials

CHAMPION = "champion"
Model = TypeVar("Model")

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")


@dataclass(frozen=True)
class Registry:
    """The models of one workspace, in its folder `models/`."""

    folder: Path

    def names(self) -> list[str]:
        """The models that have a version, sorted."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.iterdir() if self.versions(path.name))

    def versions(self, name: str) -> list[str]:
        """The versions of a model, oldest first."""
        home = self.folder / name
        if not _NAME.fullmatch(name) or not home.is_dir():
            return []
        return sorted(path.name for path in home.iterdir() if _VERSION.fullmatch(path.name))

    def publish(self, staged: StagedModel[Form]) -> str:
        """Add a version, whole or not at all, and return it. It doesn't serve before it is promoted.

        Raises:
            ModelError: that very version is there already, or the folder can't be written.
        """
        manifest = staged.manifest.stamped()
        target = self.folder / manifest.name / manifest.version
        draft = target.with_name(f".{manifest.version}.{secrets.token_hex(4)}")
        if target.exists():
            raise ModelError(f"model '{manifest.name}' has a version {manifest.version} already")
        try:
            draft.mkdir(parents=True)
            for file, content in package.files(manifest, staged).items():
                writing.write_new(draft / file, content)
            draft.rename(target)
            writing.sync(target.parent)
        except OSError as error:
            raise ModelError(
                f"model '{manifest.name}' can't be written to {target}: {error.strerror}"
            ) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return manifest.version

    def promote(self, name: str, version: str, how: How = How.PROMOTED) -> None:
        """Make a version the champion, atomically, and record it.

        The record comes first: if all ends in between, it has a line about a version that never served, and
        none is missing about one that did.

        Raises:
            ModelRefused: there is no such version.
            ModelError: the folder can't be written.
        """
        self._check_version(name, version)
        replaced = self.serving(name)
        if replaced == version:
            return
        promotion = Promotion(at=datetime.now(UTC), version=version, replaced=replaced, how=how)
        writing.append(self.folder / name / PROMOTIONS, promotion.model_dump_json() + "\n")
        writing.replace(self.folder / name / CHAMPION, f"{version}\n".encode())

    def previous(self, name: str) -> str:
        """The version that the champion has replaced. Where the champion was gone back to, it is the one that
        it replaced when it was promoted: going back twice goes further back.

        Raises:
            ModelRefused: there is none.
            ModelError: the record is damaged.
        """
        champion = self.champion(name)
        version = before(self.promotions(name), champion)
        if version is None:
            listed = ", ".join(self.versions(name))
            raise ModelRefused(name, champion, f"no version served before it; name one to promote: {listed}")
        return version

    def promotions(self, name: str) -> list[Promotion]:
        """Who became champion when, and how, the oldest first.

        Raises:
            ModelError: the record is damaged.
        """
        return read_promotions(self.folder / name / PROMOTIONS)

    def trials(self) -> Trials:
        """The versions that are tried out.

        Raises:
            ModelError: their file is damaged.
        """
        return read_trials(self.folder)

    def try_out(self, name: str, version: str, places: int) -> Trial:
        """Have a version decide for so many places of the line of customers, or, with none, be a shadow.

        Raises:
            ModelRefused: there is no such version, it is the champion, or the places are not free.
            ModelError: the folder can't be written.
        """
        self._check_version(name, version)
        champion = self.champion(name)
        if version == champion:
            raise ModelRefused(name, version, "it is the champion, and decides already")
        with changing(self.folder) as trials:
            changed = trials.with_(name, version, places, datetime.now(UTC).replace(microsecond=0))
            write_trials(self.folder, changed)
        return changed.of(name)[version]

    def withdraw(self, name: str, version: str) -> None:
        """End the trial of a version.

        Raises:
            ModelRefused: it has none.
            ModelError: the folder can't be written.
        """
        with changing(self.folder) as trials:
            tried = trials.of(name)
            if version not in tried:
                listed = ", ".join(tried) or "none"
                raise ModelRefused(name, version, f"it is not on trial; of this model is: {listed}")
            write_trials(self.folder, trials.without(name, version))

    def restore_trials(self, trials: Trials) -> None:
        """Put back the trials that there were before a change of which nothing has come.

        Raises:
            ModelError: the folder can't be written.
        """
        with changing(self.folder):
            write_trials(self.folder, trials)

    def attach(self, name: str, version: str, files: Mapping[str, bytes]) -> None:
        """Put files beside a version that tell of it, and that serving does not need.

        Raises:
            ModelRefused: there is no such version.
            ModelError: the folder can't be written.
        """
        self._check_version(name, version)
        for file, content in files.items():
            writing.replace(self.folder / name / version / file, content)

    def manifest(self, name: str, version: str) -> Manifest | CustomerManifest:
        """What a version says of itself, without loading its model.

        Raises:
            ModelRefused: there is no such version, or its manifest is damaged.
        """
        self._check_version(name, version)
        return package.read_manifest(self.folder / name / version, name, version)

    def serving(self, name: str) -> str | None:
        """The champion, or None where there is none that could be named."""
        try:
            return self.champion(name)
        except ModelRefused:
            return None

    def is_untrained(self, name: str) -> bool:
        """Whether no version has ever served."""
        return not (self.folder / name / CHAMPION).exists()

    def champion(self, name: str) -> str:
        """The version that serves.

        Raises:
            ModelRefused: there is none, or the pointer is damaged.
        """
        if not self.versions(name):
            hint = did_you_mean(name, self.names())
            raise ModelRefused(name, None, f"there is no such model in {self.folder}{hint}")
        try:
            version = (self.folder / name / CHAMPION).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            raise ModelRefused(name, None, "none of its versions has been promoted to champion") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ModelRefused(name, None, f"its file '{CHAMPION}' can't be read: {error}") from error
        if not _VERSION.fullmatch(version):
            raise ModelRefused(name, None, f"its file '{CHAMPION}' does not name a version: {version[:60]!r}")
        return version

    def load(
        self, name: str, schema: FeatureSchema, version: str | None = None, choice: Choice = "auto"
    ) -> PropensityModel:
        """A version (the champion, unless told otherwise), checked in every respect, and warm; `choice` says
        which scorer serves it.

        Raises:
            ModelRefused: it must not serve, and why.
        """
        version = version or self.champion(name)
        self._check_version(name, version)
        return package.load(self.folder / name / version, name, version, schema, choice)

    def load_customer_model(
        self, name: str, schema: FeatureSchema, version: str | None = None, choice: Choice = "auto"
    ) -> CustomerModel:
        """The same for a model of customers.

        Raises:
            ModelRefused: it must not serve, and why.
        """
        version = version or self.champion(name)
        self._check_version(name, version)
        return package.load_customer_model(self.folder / name / version, name, version, schema, choice)

    def preload(
        self,
        names: Iterable[str],
        schema: FeatureSchema,
        versions: Mapping[str, str] | None = None,
        progress: Progress = silent,
        choice: Choice = "auto",
    ) -> Mapping[str, PropensityModel]:
        """All the named models, each checked and warm: all of them or none. Those without a version among
        `versions` are the champions.

        Raises:
            PreloadRefused: with the reason of every model that must not serve.
        """
        chosen = versions or {}
        return _all_or_none(names, lambda name: self.load(name, schema, chosen.get(name), choice), progress)

    def preload_customer_models(
        self,
        names: Iterable[str],
        schema: FeatureSchema,
        versions: Mapping[str, str] | None = None,
        progress: Progress = silent,
        choice: Choice = "auto",
    ) -> Mapping[str, CustomerModel]:
        """The same for models of customers.

        Raises:
            PreloadRefused: with the reason of every model that must not serve.
        """
        chosen = versions or {}
        return _all_or_none(
            names, lambda name: self.load_customer_model(name, schema, chosen.get(name), choice), progress
        )

    def _check_version(self, name: str, version: str) -> None:
        versions = self.versions(name)
        if version not in versions:
            listed = ", ".join(versions[-3:]) or "none"
            raise ModelRefused(name, version, f"there is no such version in {self.folder} (latest: {listed})")


def _all_or_none(
    names: Iterable[str], load: Callable[[str], Model], progress: Progress
) -> Mapping[str, Model]:
    """Each of the named models once, or the reasons of all that must not serve."""
    names = list(dict.fromkeys(names))
    models, refusals = {}, []
    for done, name in enumerate(names):
        progress("Loading models", done, len(names))
        try:
            models[name] = load(name)
        except ModelRefused as refusal:
            refusals.append(refusal)
    if refusals:
        raise PreloadRefused(tuple(refusals))
    progress("Loading models", len(names), len(names))
    return models
