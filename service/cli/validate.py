"""`arbiter validate`: what is wrong with a workspace, and what is hardly meant."""

import time
from typing import Annotated

import typer

from service.cli.console import out
from service.cli.errors import explained
from service.cli.options import Workspace
from service.workspace import loading
from service.workspace.lint import warnings


def validate(
    workspace: Workspace,
    strict: Annotated[bool, typer.Option("--strict", help="Exit status 1 for warnings, too.")] = False,
) -> None:
    """Check a workspace: every error with its file and line, exit status 1; else every warning."""
    with explained():
        checked = loading.load_workspace(workspace)
        found = warnings(checked, time.time())
    for warning in found:
        out.print(f"warning: {warning}")
    number = len(found)
    verdict = f"no errors, {number} warning{'s' if number > 1 else ''}" if found else "no problems"
    out.print(f"{workspace}: {verdict}. {_counts(checked)}")
    if strict and found:
        raise SystemExit(1)


def _counts(checked: loading.Workspace) -> str:
    catalogue = checked.catalogue
    return (
        f"{len(checked.files.groups)} issues, {len(catalogue.actions)} actions, "
        f"{len(catalogue.treatments)} treatments, {len(catalogue.slots)} placements in "
        f"{len(catalogue.channels)} channels, {len(checked.schema.features)} features, "
        f"{len(checked.specs)} models. Catalogue version {catalogue.version}."
    )
