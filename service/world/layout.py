"""The YAML files of a synthetic workspace."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from feature_store.schema import Feature, FeatureSchema
from service.world.offers import Action, Offers, Placement, Treatment

PLACEMENTS = (
    Placement("web", "home_hero", 1),
    Placement("web", "home_tiles", 3),
    Placement("web", "cart_banner", 1),
    Placement("web", "account_tile", 2),
    Placement("email", "newsletter", 1),
)
CHANNELS = {
    "web": {"direction": "inbound", "description": "The public site"},
    "email": {"direction": "outbound", "description": "The newsletter"},
}
ISSUES = ("sales", "cross_sell", "retention", "service", "loyalty", "education")
GROUPS_PER_ISSUE = 4

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml, where it is there, is ten times as fast


def synthetic_offers(rng: np.random.Generator, actions: int, models: int) -> Offers:
    """A catalogue whose actions go round the models, issues and groups; all can be shown on the site."""
    everywhere = tuple(placement.name for placement in PLACEMENTS if placement.channel == "web")
    entries: list[Action] = []
    treatments: list[Treatment] = []
    values = np.round(np.exp(rng.normal(3.6, 0.8, actions)), 1)
    for i in range(actions):
        name, issue = f"action_{i + 1}", ISSUES[i % len(ISSUES)]
        group = f"{issue}_{i // len(ISSUES) % GROUPS_PER_ISSUE + 1}"
        entries.append(Action(name, issue, group, f"model_{i % models + 1}", float(values[i])))
        treatments.append(Treatment(f"{name}_web", i, "web", everywhere))
        if i % 3 == 0:
            treatments.append(Treatment(f"{name}_email", i, "email", ("newsletter",)))
    positive = {f"model_{m + 1}": _positive(m + 1) for m in range(models)}
    return Offers(tuple(entries), tuple(treatments), PLACEMENTS, positive)


def _positive(number: int) -> tuple[str, ...]:
    return ("click", "accept", "convert") if number % 2 == 0 else ("accept", "convert")


def write_workspace(
    folder: Path,
    schema: FeatureSchema,
    offers: Offers,
    policies: Mapping[str, Any],
    experiments: Mapping[str, Any],
) -> None:
    """Write features, channels, models, policies, experiments and the actions, one file for each issue.

    `policies` is what policies.yaml has besides arbitration; without `experiments` there is no such file.
    """
    _write(folder / "features.yaml", {"features": {f.name: _feature(f) for f in schema.features}})
    channels = {
        name: {
            **about,
            "placements": {
                slot.name: {"limit": slot.limit, "description": f"Slot {slot.name} of {name}"}
                for slot in offers.placements
                if slot.channel == name
            },
        }
        for name, about in CHANNELS.items()
    }
    _write(folder / "channels.yaml", {"channels": channels})
    models = {
        name: {"positive": list(positive), "description": f"Synthetic outcome family {name}"}
        for name, positive in offers.positive.items()
    }
    _write(folder / "models.yaml", {"models": models})
    _write(folder / "policies.yaml", {**_arbitration(offers), **policies})
    if experiments:
        _write(folder / "experiments.yaml", {"experiments": dict(experiments)})
    (folder / "actions").mkdir(exist_ok=True)
    for issue in dict.fromkeys(action.issue for action in offers.actions):
        _write(folder / "actions" / f"{issue}.yaml", _issue(offers, issue))


def _feature(feature: Feature) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": str(feature.type), "source": str(feature.source)}
    if feature.levels:
        spec["levels"] = list(feature.levels)
    if feature.members:
        spec["members"] = list(feature.members)
    return {**spec, "description": feature.description}


def _arbitration(offers: Offers) -> dict[str, Any]:
    weight = {"when": {"page": "cart"}, "issue": offers.actions[0].issue, "weight": 25}
    switches = {"propensity": True, "context_weight": True, "value": True, "lever": True}
    return {"arbitration": switches, "context_weights": [weight]}


def _issue(offers: Offers, issue: str) -> dict[str, Any]:
    groups: dict[str, Any] = {}
    for position, action in enumerate(offers.actions):
        if action.issue == issue:
            actions = groups.setdefault(action.group, {"lever": 5, "actions": {}})["actions"]
            actions[action.name] = {
                "title": f"Action {position + 1}",
                "description": f"Synthetic action {position + 1}",
                "model": action.model,
                "value": action.value,
                "propensity": action.propensity,
                "treatments": {},
            }
    for treatment in offers.treatments:
        action = offers.actions[treatment.action]
        if action.issue == issue:
            number = treatment.action + 1
            groups[action.group]["actions"][action.name]["treatments"][treatment.name] = {
                "channel": treatment.channel,
                "content": {
                    "headline": f"Offer {number}",
                    "text": f"All about offer {number}.",
                    "cta": "See",
                },
            }
    return {"issue": issue, "lever": 0, "groups": groups}


def _write(path: Path, content: dict[str, Any]) -> None:
    text = yaml.dump(content, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=110)
    path.write_text(text, encoding="utf-8")
