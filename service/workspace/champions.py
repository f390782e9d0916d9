"""Changing which version of a model serves: checked as serving would, before anything changes."""

from models.manifest import CustomerManifest
from models.promotions import How
from service.workspace.loading import Workspace


def promote(workspace: Workspace, name: str, version: str | None = None) -> str:
    """Make a version of a model the champion, the newest one unless told otherwise. Returns it.

    Raises:
        ModelRefused: there is no such model or version, or it must not serve; the champion stays.
    """
    chosen = version or newest(workspace, name)
    _change(workspace, name, chosen, How.PROMOTED)
    return chosen


def roll_back(workspace: Workspace, name: str) -> str:
    """Make the version that the champion has replaced the champion again. Returns it.

    Raises:
        ModelRefused: there is no such model, none served before, or it must not serve; the champion stays.
    """
    version = workspace.registry.previous(name)
    _change(workspace, name, version, How.ROLLED_BACK)
    return version


def newest(workspace: Workspace, name: str) -> str:
    """The newest version of a model.

    Raises:
        ModelRefused: there is no such model.
    """
    versions = workspace.registry.versions(name)
    if not versions:
        workspace.registry.champion(name)  # which says what there is instead
    return versions[-1]


def restore(workspace: Workspace, name: str, version: str | None) -> None:
    """Undo a change of which nothing has come: a champion that there was serves again."""
    if version is not None:
        workspace.registry.promote(name, version, How.ROLLED_BACK)


def _change(workspace: Workspace, name: str, version: str, how: How) -> None:
    registry, schema = workspace.registry, workspace.schema
    if isinstance(registry.manifest(name, version), CustomerManifest):
        registry.load_customer_model(name, schema, version)
    else:
        registry.load(name, schema, version)
    registry.promote(name, version, how)
