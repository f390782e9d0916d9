"""`arbiter validate`: what is wrong with a workspace."""

from service.cli.console import out
from service.cli.errors import explained
from service.cli.options import Workspace
from service.workspace.loading import load_workspace


def validate(workspace: Workspace) -> None:
    """Check a workspace: every error with its file and line, exit status 1."""
    with explained():
        checked = load_workspace(workspace)
        catalogue = checked.catalogue
        out.print(
            f"{workspace}: no problems. {len(checked.files.groups)} issues, "
            f"{len(catalogue.actions)} actions, "
            f"{len(catalogue.treatments)} treatments, {len(catalogue.slots)} placements in "
            f"{len(catalogue.channels)} channels, {len(checked.schema.features)} features, "
            f"{len(checked.specs)} models. Catalogue version {catalogue.version}."
        )
