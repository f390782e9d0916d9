"""What values by formula, context weights, thresholds and the cost of a contact add to a decision.

Run: python docs/decisions/measurements/arbitration.py [seconds]
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from feature_store.schema import Feature, FeatureSchema, FeatureType, Source
from service.decisioning.arbitration import Arbitration, ContextWeight, Mandate
from service.decisioning.barriers import ContactCost, Threshold
from service.decisioning.batch import Batch
from service.decisioning.catalogue import Action, Catalogue, Channel, Placement, Treatment
from service.decisioning.pipeline import decide
from service.decisioning.quantities import Formula
from service.decisioning.rulebook import RuleBook
from service.decisioning.rules import Compiler, ProgramBuilder
from service.decisioning.snapshot import Snapshot
from service.decisioning.valuation import Scaling, Valuation

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
SCHEMA = FeatureSchema(
    tuple(Feature(f"x{i}", FeatureType.NUMBER, Source.PROFILE, default=0.0) for i in range(64))
)
rng = np.random.default_rng(5)


def told(actions: int) -> tuple[Arbitration, RuleBook]:
    """Twelve weights, a formula for every fifth action, scaling, thresholds, costs and a mandate."""
    compiler, builder = Compiler(SCHEMA), ProgramBuilder()

    def formula(source: str) -> Formula:
        return Formula(builder.value(compiler.number(source).node))

    weights = tuple(
        ContextWeight(
            builder.true(compiler.flag(f"customer.x{i} > 0.5").node), rng.random(actions) < 0.2, 25.0
        )
        for i in range(12)
    )
    formulas = tuple((a, formula(f"customer.x{a % 64} * 30.0 + {a}.0")) for a in range(0, actions, 5))
    all_of_them, everywhere = np.ones(actions, np.bool_), np.ones(1, np.bool_)
    barriers = (
        Threshold("likely", "propensity", 0.005, all_of_them, everywhere),
        Threshold("worth_it", "priority", 0.5, all_of_them, everywhere),
        ContactCost(np.array([0.7])),
    )
    arbitration = Arbitration(
        context_weights=weights,
        valuation=Valuation(benefit_weight=0.3, scaling=Scaling("logarithm", 50.0), business=formulas),
        barriers=barriers,
        mandates=(Mandate(0, builder.true(compiler.flag("customer.x1 > 0.95").node)),),
    )
    return arbitration, RuleBook(builder.build())


def snapshot(actions: int, arbitration: Arbitration, rules: RuleBook) -> Snapshot:
    offered = tuple(
        Action(f"a{i}", "i", "g", propensity=0.01 + i / 5e4, value=10.0 + i, customer_value=float(i % 7))
        for i in range(actions)
    )
    channel = Channel("web", "inbound", (Placement("hero", 3),))
    said = tuple(Treatment(f"t{i}", f"a{i}", "web", ("hero",), b"{}") for i in range(actions))
    priors = np.array([action.propensity for action in offered], np.float64)
    catalogue = Catalogue((channel,), offered, said, "v")
    return Snapshot(catalogue, SCHEMA, priors, rules=rules, arbitration=arbitration)


def microseconds(of: Snapshot, n: int) -> float:
    """The shortest time of a decision in batches of n."""
    rows = np.zeros(n, np.intp)
    batch = Batch(rng.random((n, SCHEMA.width)), np.zeros(n), rows, np.full((n, 1), 3, np.int32), rows == 0)
    best, until = np.inf, time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        begun = time.perf_counter()
        decide(of, batch)
        best = min(best, time.perf_counter() - begun)
    return best / n * 1e6


for actions in (50, 1000):
    plain = snapshot(actions, Arbitration(), RuleBook(ProgramBuilder().build()))
    full = snapshot(actions, *told(actions))
    for n in (1, 16, 64):
        without, with_all = microseconds(plain, n), microseconds(full, n)
        line = f"{actions:>5} actions, batch of {n:>2}: {without:8.1f} us plain, {with_all:8.1f} with all"
        sys.stdout.write(line + "\n")
