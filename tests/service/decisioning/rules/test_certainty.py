"""Which numbers everybody has: what is called certain is there for every customer."""

import re

import numpy as np
import pytest

from feature_store.schema import Feature, FeatureSchema, FeatureType, Source
from service.decisioning.rules import Compiler, ProgramBuilder
from service.decisioning.rules.certainty import never_missing

from . import test_reference as reference

SCHEMA = FeatureSchema(
    (
        Feature("age", FeatureType.NUMBER, Source.PROFILE),
        Feature("visits", FeatureType.NUMBER, Source.BEHAVIOUR, default=0.0),
        Feature("member", FeatureType.FLAG, Source.PROFILE),
        Feature("tier", FeatureType.CATEGORY, Source.PROFILE, default="a", levels=("a", "b")),
        Feature("goods", FeatureType.SET, Source.PROFILE, default=(), members=("x", "y")),
        Feature("topics", FeatureType.SET, Source.PROFILE, members=("x", "y")),
    )
)
CERTAIN = [
    "3.5",
    "-customer.visits * 2.0 + 1.0",
    "customer.visits / 4.0",
    "size(customer.goods) * 10.0",
    'customer.tier == "a" ? 5.0 : customer.visits',
    "has(customer.age) ? customer.age : 40.0",
    "!has(customer.age) ? 40.0 : customer.age * 2.0",
    "has(customer.age) && customer.age > 18.0 ? customer.age : 40.0",
    "customer.age > 18.0 && has(customer.age) ? customer.age : 40.0",
    "!has(customer.age) || customer.age < 18.0 ? 40.0 : customer.age",
    "has(customer.member) && customer.member ? 2.0 : 1.0",
]
UNCERTAIN = [
    "customer.age",
    "customer.age * 0.0",
    "1.0 / customer.visits",
    "customer.visits / 0.0",
    "size(customer.topics) * 1.0",
    "customer.member ? 2.0 : 1.0",
    "customer.age > 18.0 ? 2.0 : 1.0",
    "has(customer.age) ? 40.0 : customer.age",
    "has(customer.age) || customer.age > 18.0 ? 1.0 : 2.0",
    "has(customer.age) || customer.member ? customer.age : 2.0",
    "has(customer.member) ? customer.age : 2.0",
]


@pytest.mark.parametrize("source", CERTAIN)
def test_a_number_is_certain_where_it_reads_only_what_is_there(source: str) -> None:
    assert never_missing(Compiler(SCHEMA).number(source).node, SCHEMA)


@pytest.mark.parametrize("source", UNCERTAIN)
def test_a_number_is_not_certain_where_somebody_may_lack_something(source: str) -> None:
    assert not never_missing(Compiler(SCHEMA).number(source).node, SCHEMA)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_called_certain_has_a_number_for_every_random_customer(seed: int) -> None:
    generator = reference.Generator(seed)
    customers, X, now = reference.table(generator)
    compiler, builder = Compiler(reference.SCHEMA), ProgramBuilder()
    nodes = []
    for _ in range(300):
        name, number = generator.pick(*reference.NUMBERS), generator.number(2)
        guarded = f"(has(customer.{name}) ? customer.{name} : {generator.constant()})"
        unguarded = re.compile(rf"(?<!has\()customer\.{name}\b")
        nodes.append(compiler.number(unguarded.sub(guarded, number)).node)
    certain = [node for node in nodes if never_missing(node, reference.SCHEMA)]
    places = [(builder.value(node), builder.known(node)) for node in certain]
    columns = builder.build().run(X, now)
    assert len(certain) > 30
    for value, known in places:
        assert columns[known].all()
        assert np.isfinite(np.broadcast_to(columns[value], len(customers))).all()
