"""Trying out versions of models: checked as serving would, before anything changes."""

from fractions import Fraction

from models.errors import ModelRefused
from models.manifest import CustomerManifest
from models.trials import LINE, Trial
from service.workspace.champions import newest
from service.workspace.loading import Workspace
from service.workspace.shapes.experiments import share_of


def challenging(text: str) -> Fraction:
    """The share of a challenger, such as 10%.

    Raises:
        ValueError: it is none.
    """
    share = share_of(text)
    if not share:
        raise ValueError("must be above 0%: a version that decides for nobody is a shadow")
    return share


def try_out(workspace: Workspace, name: str, version: str | None, share: Fraction) -> Trial:
    """Have a version of a model, the newest one unless told otherwise, decide for a share of the customers,
    or, with none, be a shadow.

    Raises:
        ModelRefused: there is no such version, it must not serve, or its share is not free; nothing changes.
    """
    registry, places = workspace.registry, share * LINE
    version = version or newest(workspace, name)
    if name not in workspace.action_models.values():
        raise ModelRefused(name, version, "no action uses the model, so there is nothing to try it out on")
    if places.denominator > 1 or not 0 <= places <= LINE:
        raise ModelRefused(name, version, f"its share has to be a multiple of {1 / LINE:.2%}, at most 100%")
    if isinstance(registry.manifest(name, version), CustomerManifest):
        raise ModelRefused(name, version, "a model of customers can't be tried out: others read what it says")
    registry.load(name, workspace.schema, version)
    return registry.try_out(name, version, int(places))


def withdraw(workspace: Workspace, name: str, version: str | None) -> str:
    """End the trial of a version, the only one of its model unless told otherwise. Returns it.

    Raises:
        ModelRefused: it is not on trial, or it has to be named; nothing changes.
    """
    tried = list(workspace.registry.trials().of(name))
    if version is None and len(tried) != 1:
        listed = ", ".join(tried)
        reason = f"several of its versions are on trial; name one: {listed}" if tried else "none is on trial"
        raise ModelRefused(name, None, reason)
    chosen = version or tried[0]
    workspace.registry.withdraw(name, chosen)
    return chosen
