"""Random workspaces in which everything is on, and random requests to them.

A workspace is drawn as the files that a business would write, and goes through the loader: the laws hold for
what is configured, not for what a test has put together by hand.
"""

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from feature_store.history import RECORD, name_hash
from service.decisioning.batch import Batch
from service.decisioning.offers import Promises
from service.decisioning.snapshot import Snapshot
from service.decisioning.touches import Touches
from service.workspace.loading import load_workspace

NOW = 1_800_000_000.0
DAY = 86_400.0
Files = dict[str, dict[str, Any]]

FEATURES = {
    "features": {
        "age": {"type": "number", "source": "profile", "description": "In years"},
        "spend": {"type": "number", "source": "profile", "default": 20, "description": "EUR a month"},
        "products": {
            "type": "set",
            "source": "profile",
            "members": ["phone", "tv"],
            "default": [],
            "description": "Owned",
        },
        "zone": {
            "type": "category",
            "source": "profile",
            "levels": ["Europe/Berlin", "America/Lima"],
            "description": "Where",
        },
        "intent": {
            "type": "category",
            "source": "context",
            "levels": ["buy", "leave"],
            "description": "What for",
        },
    }
}
CHANNELS = {
    "channels": {
        "web": {"direction": "inbound", "placements": {"hero": {"limit": 1}, "tiles": {"limit": 3}}},
        "desk": {"direction": "inbound", "placements": {"next": {"limit": 2}}},
        "mail": {"direction": "outbound", "placements": {"lead": {"limit": 1}}},
    }
}
PLACES = {"web": ["hero", "tiles"], "desk": ["next"], "mail": ["lead"]}
ISSUES = {"sales": ["phone", "tv"], "service": ["care"], "keep": ["renew"]}
NAMES = ["alpha", "bravo", "carol", "delta", "eagle", "frank", "grape", "hotel"]
PAIR = NAMES[:2]
"""The bundle."""
TAGS = st.sampled_from([[], ["discount"]])
RULES = [
    "customer.age >= 18.0",
    'context.intent == "buy"',
    '!("phone" in customer.products)',
    "customer.spend < 50.0 || has(customer.age)",
    "true",
]
SCOPES = [{}, {"issue": "sales"}, {"issue": "sales", "group": "tv"}, {"action": "alpha"}]


@st.composite
def actions(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """An action as it stands in a file."""
    written: dict[str, Any] = {
        "propensity": draw(st.sampled_from([0.01, 0.1, 0.1, 0.5])),
        "value": draw(st.sampled_from([0, 10, 100.5, "0.5 * customer.spend + 1.0"])),
        "customer_value": draw(st.sampled_from([0, 5, -3, {"formula": "customer.age", "otherwise": 40}])),
        "lever": draw(st.sampled_from([0, 25, -50])),
        "tags": draw(TAGS) if name in NAMES[3:] else [] if name in PAIR else ["discount"],
        "mandatory": draw(st.sampled_from([False, False, True, 'context.intent == "leave"'])),
        "eligibility": draw(st.sampled_from(RULES)),
        "treatments": {},
    }
    if name == PAIR[1]:  # of a fixed bundle only the lead competes
        written["mandatory"] = False
    if name not in PAIR and draw(st.integers(0, 2)) == 0:
        written |= {"fallback": True, "mandatory": False}
    channels = draw(st.lists(st.sampled_from(sorted(PLACES)), min_size=1, unique=True))
    for channel in dict.fromkeys(["web", *channels] if name in PAIR else channels):
        places = draw(st.lists(st.sampled_from(PLACES[channel]), min_size=1, unique=True))
        if name in PAIR:
            places = PLACES[channel]
        for number in range(draw(st.integers(1, 2))):
            written["treatments"][f"{name}_{channel}_{number}"] = {
                "channel": channel,
                "placements": places,
                "suitability": draw(st.sampled_from(RULES)),
            }
    if draw(st.booleans()):
        written["offers"] = [
            {"name": "young", "when": "customer.age < 30.0", "valid_for": "7d", "terms": {"price": 9.5}},
            {"name": "all", "valid_for": "7d", "terms": {"price": 19}},
        ]
    return written


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """policies.yaml with a part of everything that it may have."""
    scope = st.sampled_from(SCOPES)
    switches = {name: draw(st.booleans()) for name in ("propensity", "context_weight", "value", "lever")}
    scaling = {"method": draw(st.sampled_from(["none", "logarithm", "square_root"])), "reference": 50}
    count = {"of": ["impression"], "without_history": draw(st.sampled_from(["allow", "suppress"]))}
    per = st.sampled_from(["treatment", "action", "group", "issue", "channel", "everything"])
    everything: dict[str, Any] = {
        "arbitration": {**switches, "customer_benefit_weight": 0.5, "value_scaling": scaling},
        "context_weights": [
            {"when": {"intent": "leave"}, "issue": "keep", "weight": 80},
            {"when": "customer.age > 60.0", "weight": "customer.spend", **draw(scope)},
        ],
        "thresholds": [{"name": "least", "propensity": 0.05, "priority": 0.2, **draw(scope)}],
        "do_nothing": {"cost": {"mail": 2.0, "web": 0.01}},
        "contact_policies": {
            "caps": [
                {"name": "cap", "at_most": 2, "within": "7d", "per": draw(per), **count, **draw(scope)},
                {
                    "name": "household",
                    "at_most": 3,
                    "within": "1d",
                    "per": draw(per),
                    "unit": "account",
                    **count,
                },
            ],
            "pauses": [
                {"name": "no", "after": 1, "pause": "30d", "per": draw(per), **count, "of": ["reject"]}
            ],
            "gaps": [{"name": "gap", "at_least": "2h", "per": draw(per), "channels": ["mail"], **count}],
            "quiet_hours": [
                {
                    "name": "night",
                    "from": "21:00",
                    "to": "08:00",
                    "channels": ["mail"],
                    "timezone": "customer.zone",
                    "otherwise": "UTC",
                }
            ],
        },
        "volume_limits": [{"name": "few", "at_most": 100, "per": "day", **draw(scope)}],
        "slate": {
            "duplicates": draw(st.booleans()),
            "limits": [
                {"name": "one_discount", "tag": "discount", "at_most": 1},
                {"name": "two_sales", "issue": "sales", "at_most": 2},
            ],
            "tiers": draw(st.sampled_from([[], [["service"]], [["keep"], ["service", "sales"]]])),
            "bundles": [
                {
                    "name": "pair",
                    "kind": draw(st.sampled_from(["fixed", "flexible"])),
                    "actions": ["alpha", "bravo"],
                }
            ],
        },
        "exploration": {
            "method": draw(st.sampled_from(["epsilon", "softmax", *(["thompson"] * switches["propensity"])])),
            "share": draw(st.sampled_from([0.5, 1.0])),
            "floor": draw(st.sampled_from([0.0, 0.05])),
        },
        "emergency_exclusion": draw(st.sampled_from([[], ["carol"]])),
    }
    kept = draw(st.lists(st.sampled_from(sorted(everything)), unique=True))
    return {name: everything[name] for name in kept}


EXPERIMENTS = {
    "experiments": {
        "holdout": {"namespace": "people", "arms": {"control": {"share": "20%", "withhold": "everything"}}},
        "households": {
            "namespace": "homes",
            "unit": "account",
            "arms": {"control": {"from": "50%", "share": "30%", "withhold": {"actions": ["alpha"]}}},
        },
        "impact": {
            "namespace": "ways",
            "arms": {
                "random_eligible": {"share": "10%", "conduct": "random_eligible"},
                "propensity_only": {"from": "10%", "share": "10%", "conduct": "propensity_only"},
                "no_levers": {"from": "20%", "share": "10%", "conduct": "no_levers"},
                "eligibility_only": {"from": "30%", "share": "10%", "conduct": "eligibility_only"},
                "random_propensity": {"from": "40%", "share": "10%", "conduct": "random_propensity"},
                "challenger": {
                    "from": "50%",
                    "share": "20%",
                    "configuration": {
                        "arbitration": {"value": False},
                        "levers": {"issue": {"sales": -50}},
                        "exploration": {"method": "epsilon", "epsilon": 0.3},
                    },
                },
            },
        },
    }
}


@st.composite
def workspaces(draw: st.DrawFn, most: int = len(NAMES)) -> Files:
    """The files of a workspace without models."""
    places = [(issue, group) for issue, groups in ISSUES.items() for group in groups]
    files: Files = {
        "features.yaml": FEATURES,
        "channels.yaml": CHANNELS,
        "models.yaml": {"models": {}},
        "policies.yaml": draw(policies()),
        "experiments.yaml": EXPERIMENTS if draw(st.booleans()) else {"experiments": {}},
        **{
            f"actions/{issue}.yaml": {"issue": issue, "groups": {group: {"actions": {}} for group in groups}}
            for issue, groups in ISSUES.items()
        },
    }
    for number, name in enumerate(NAMES[:most]):
        # the first two, which make the bundle, and the one that scopes name are always there
        issue, group = places[number % len(places)] if number < 3 else draw(st.sampled_from(places))
        files[f"actions/{issue}.yaml"]["groups"][group]["actions"][name] = draw(actions(name))
    return files


def compiled(files: Files) -> Snapshot:
    """The snapshot of a workspace."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "actions").mkdir()
        for path, content in files.items():
            (folder / path).write_text(json.dumps(content))  # YAML is a superset of JSON
        return load_workspace(folder).snapshot()


def touches(rng: np.random.Generator, snapshot: Snapshot, n: int) -> Touches:
    """Some 6 contacts for each of n requests, in the order of their times."""
    count = int(rng.integers(0, 6 * n + 1))
    records = np.zeros(count, RECORD)
    records["time"] = np.sort(NOW - rng.exponential(2 * DAY, count))
    said = [
        snapshot.catalogue.treatments[at] for at in rng.integers(0, len(snapshot.catalogue.treatments), count)
    ]
    for place, treatment in enumerate(said):
        action = snapshot.catalogue.actions[snapshot.catalogue.action_index[treatment.action]]
        records[place]["outcome"] = name_hash("reject" if rng.random() < 0.1 else "impression")
        records[place]["channel"] = name_hash(treatment.channel)
        records[place]["treatment"] = name_hash(treatment.name)
        for kind in ("issue", "group"):
            records[place][kind] = name_hash(getattr(action, kind))
        records[place]["action"] = name_hash(action.name)
    since = np.where(rng.random(n) < 0.8, -np.inf, np.where(rng.random(n) < 0.5, np.inf, NOW - DAY))
    return Touches(records, rng.integers(0, n, count), np.full(count, np.inf), since)


def promises(rng: np.random.Generator, snapshot: Snapshot, n: int) -> Promises:
    """An offer of some action for about every second request."""
    rows = np.flatnonzero(rng.random(n) < 0.5)
    k = len(rows)
    return Promises(
        rows=rows,
        actions=rng.integers(0, len(snapshot.catalogue.actions), k),
        names=np.full(k, b"kept"),
        terms=np.full(k, b'{"price":1}'),
        valid_until=NOW + rng.uniform(-DAY, DAY, k),
        sayable=rng.random(k) < 0.9,
    )


def requests(snapshot: Snapshot, n: int, seed: int) -> Batch:
    """n random requests, with something in every column."""
    rng, catalogue = np.random.default_rng(seed), snapshot.catalogue
    X = np.full((n, snapshot.schema.width), np.nan)
    for name, drawn in (
        ("age", rng.integers(10, 90, n)),
        ("spend", rng.integers(0, 90, n)),
        ("zone", rng.integers(0, 2, n)),
        ("intent", rng.integers(0, 2, n)),
    ):
        column = X[:, snapshot.schema.slice(name)]
        column[:, 0] = np.where(rng.random(n) < 0.7, drawn, np.nan)
    X[:, snapshot.schema.slice("products")] = rng.integers(0, 2, (n, 2))
    X = np.where(np.isnan(X), snapshot.schema.defaults, X)
    channel = rng.integers(0, len(catalogue.channels), n)
    limits = np.zeros((n, len(catalogue.slots)), np.int32)
    for row, index in enumerate(channel.tolist()):
        for slot in catalogue.channel_slots[catalogue.channels[index].name]:
            limits[row, slot] = rng.integers(0, 4)
    V = len(snapshot.volumes)
    return Batch(
        X=X,
        now=np.where(rng.random(n) < 0.5, NOW, NOW + DAY / 3),
        channel=channel.astype(np.intp),
        limits=limits,
        scored=rng.random(n) < 0.9,
        excluded=rng.random((n, len(catalogue.actions))) < 0.05,
        seeds=rng.integers(0, 2**63, n).astype(np.uint64),
        units=rng.integers(0, 2**63, n).astype(np.uint64),
        account_units=rng.integers(0, 2**63, n).astype(np.uint64),
        touches=touches(rng, snapshot, n),
        account_touches=touches(rng, snapshot, n),
        promises=promises(rng, snapshot, n),
        budgets=rng.integers(0, 3, (n, V)).astype(np.int32) if V else None,
        volume_used=rng.integers(0, 90, (n, V)).astype(np.float64) if V else None,
        explores=rng.random(n) < 0.8,
    )


@dataclass(frozen=True, repr=False)
class Case:
    """A workspace and requests to it, which come from a seed."""

    files: Files
    snapshot: Snapshot
    batch: Batch
    seed: int

    def __repr__(self) -> str:
        written = {path: content for path, content in self.files.items() if "/" in path or "pol" in path}
        return f"{len(self.batch)} requests of seed {self.seed} to {json.dumps(written)}"

    def without_chance(self) -> Batch:
        """The same with nothing left to chance either."""
        return replace(self.of_nobody(), seeds=None)

    def of_nobody(self) -> Batch:
        """The same requests with nobody in an experiment."""
        return replace(self.batch, units=None, account_units=None)


@st.composite
def cases(draw: st.DrawFn, most: int = len(NAMES)) -> Case:
    """A workspace with some requests."""
    files = draw(workspaces(most))
    snapshot = compiled(files)
    seed = draw(st.integers(0, 2**32))
    return Case(files, snapshot, requests(snapshot, draw(st.integers(1, 9)), seed), seed)


def answers(snapshot: Snapshot, decisions: Any) -> list[dict[str, Any]]:
    """What each request is told, by names, so that two catalogues can be compared."""
    catalogue, slate, factors = snapshot.catalogue, decisions.slate, decisions.factors
    told: list[dict[str, Any]] = [{} for _ in range(len(decisions.removed_by))]
    for place, row in enumerate(slate.row.tolist()):
        action = int(slate.action[place])
        slot = catalogue.slots[int(slate.slot[place])]
        told[row][slot.channel, slot.placement.id, int(slate.rank[place])] = (
            catalogue.actions[action].name,
            catalogue.treatments[int(slate.treatment[place])].name,
            float(slate.selection_probability[place]),
            float(slate.expected_cost[place]),
            float(factors.priority[row, action]),
        )
    for row, slot, code in zip(
        slate.empty_row.tolist(), slate.empty_slot.tolist(), slate.empty_code.tolist(), strict=True
    ):
        placement = catalogue.slots[slot]
        removal = snapshot.removals[code]
        told[row][placement.channel, placement.placement.id] = removal and removal.stage
    return told


def reasons(snapshot: Snapshot, decisions: Any, row: int) -> dict[str, Any]:
    """Why each action of one request is out, or what made its priority."""
    found = {}
    for index, action in enumerate(snapshot.catalogue.actions):
        removal = snapshot.removals[int(decisions.removed_by[row, index])]
        priority = float(decisions.factors.priority[row, index])
        found[action.name] = (
            removal and (removal.stage, removal.rule),
            None if np.isnan(priority) else priority,
        )
    return found


def order(rng_seed: int, n: int) -> NDArray[np.intp]:
    """Some of n rows, shuffled."""
    rng = np.random.default_rng(rng_seed)
    return rng.permutation(n)[: rng.integers(1, n + 1)]
