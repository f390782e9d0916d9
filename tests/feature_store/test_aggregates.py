"""Aggregates: what features.yaml may say, and that they add up as plain Python does."""

import asyncio
import math
import uuid
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_store.aggregates import Aggregates
from feature_store.documents import WorkspaceError
from feature_store.event import Event
from feature_store.schema import FeatureSchema, Source
from feature_store.store import CustomerStore, connect
from feature_store.tally import BUCKETS, MOST_VALUES, tally_of

NOW = 1_750_000_000.0
DAY = 86_400.0
WINDOWS = {"short": 1_800.0, "long": 30 * DAY}
HALF_LIFE = 6 * 3600.0

FEATURES = """\
features:
  short: {type: number, source: behaviour, aggregate: {kind: count, event: view, window: 30m}, description: x}
  long: {type: number, source: behaviour, aggregate: {kind: count, event: [view, buy], window: 30d}, description: x}
  chosen:
    type: number
    source: behaviour
    aggregate: {kind: count, event: view, where: {topic: [tv, 1]}, window: 30d}
    description: x
  spent: {type: number, source: behaviour, aggregate: {kind: sum, event: buy, property: price, window: 30d}, description: x}
  rate: {type: number, source: behaviour, aggregate: {kind: rate, event: view, window: 30d, unit: d}, description: x}
  topics: {type: number, source: behaviour, aggregate: {kind: distinct, event: view, property: topic, window: 30d}, description: x}
  decayed: {type: number, source: behaviour, aggregate: {kind: decayed, event: view, half_life: 6h}, description: x}
  last: {type: category, levels: [tv, web], source: behaviour, aggregate: {kind: last, event: view, property: topic}, description: x}
  price: {type: number, source: behaviour, aggregate: {kind: last, event: buy, property: price, window: 30d}, description: x}
  ago: {type: number, source: behaviour, aggregate: {kind: recency, event: view, unit: h}, description: x}
"""  # noqa: E501


def load(folder: Path, text: str) -> FeatureSchema:
    path = folder / "features.yaml"
    path.write_text(text)
    return FeatureSchema.load(path)


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> FeatureSchema:
    return load(tmp_path_factory.mktemp("counted"), FEATURES)


def event(number: int, name: str, ago: float, **properties: Any) -> Event:
    return Event(
        message_id=f"m{number}",
        type="track",
        event=name,
        customer_id="c",
        properties=properties,
        occurred_at=NOW - ago,
        received_at=NOW,
    )


AGO = st.one_of(
    st.floats(0, 2 * 1_800), st.floats(0, 60 * DAY), st.sampled_from([0.0, 1_800.0, 30 * DAY, 90.0])
)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("view"), AGO, st.sampled_from(["tv", "web", "fibre", 1, True])),
        st.tuples(st.just("buy"), AGO, st.integers(-5, 500)),
        st.tuples(st.just("other"), AGO, st.none()),
    ),
    max_size=60,
).map(
    lambda rows: [
        event(n, name, ago, **({"price": said} if name == "buy" else {"topic": said}))
        for n, (name, ago, said) in enumerate(rows)
    ]
)


def in_window(events: list[Event], window: float) -> list[Event]:
    """Those in the last sixty buckets, the one of now included."""
    bucket = window / BUCKETS
    return [e for e in events if e.occurred_at // bucket > NOW // bucket - BUCKETS]


def expected(events: list[Event]) -> dict[str, float]:
    """What they add up to, in plain Python."""
    views = [e for e in events if e.event == "view"]
    buys = [e for e in events if e.event == "buy"]
    long = in_window(views, WINDOWS["long"])
    recent = [e for e in views if e.occurred_at > NOW - WINDOWS["long"]]
    bought = [e for e in buys if e.occurred_at > NOW - WINDOWS["long"]]
    last_view = max(views, key=lambda e: e.occurred_at, default=None)
    return {
        "short": len(in_window(views, WINDOWS["short"])),
        "long": len(in_window(views + buys, WINDOWS["long"])),
        "chosen": sum(e.properties["topic"] in ("tv", 1) and e.properties["topic"] is not True for e in long),
        "spent": sum(e.properties["price"] for e in in_window(buys, WINDOWS["long"])),
        "rate": len(long) / 30,
        "topics": len({(type(e.properties["topic"]), e.properties["topic"]) for e in recent}),
        "decayed": sum(2 ** ((e.occurred_at - NOW) / HALF_LIFE) for e in views),
        "ago": math.nan if last_view is None else (NOW - last_view.occurred_at) / 3600,
        "price": max((e.occurred_at, e.properties["price"]) for e in bought)[1] if bought else math.nan,
    }


def by_name(schema: FeatureSchema, row: Any) -> dict[str, float]:
    return {feature.name: row[schema.slice(feature.name).start] for feature in schema.features}


def same(found: dict[str, float], wanted: dict[str, float]) -> None:
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-6, abs=1e-9, nan_ok=True), name


@settings(max_examples=60)
@given(events=EVENTS, seed=st.randoms(use_true_random=False))
def test_any_delivery_adds_up_as_plain_python_does(
    counted: FeatureSchema, embedded_store_url: str, events: list[Event], seed: Any
) -> None:
    """In any order, some twice, by two workers at once; and the same where they are only foreseen."""

    async def deliver() -> tuple[Any, Any]:
        workers = [CustomerStore(connect(embedded_store_url, timeout=30), counted) for _ in range(2)]
        owner = f"laws-{uuid.uuid4()}"  # the same case may be tried again
        twice = events + seed.sample(events, len(events) // 3)
        sent = [msgspec.structs.replace(event, customer_id=owner) for event in twice]
        seed.shuffle(sent)
        calls, rest = [], sent
        while rest:
            size = seed.randint(1, 9)
            calls.append(rest[:size])
            rest = rest[size:]
        applied = await asyncio.gather(
            *(workers[n % 2].events.apply(call, NOW) for n, call in enumerate(calls))
        )
        assert sum(each.new for call in applied for each in call) == len(events)
        stored = await workers[0].read([owner], NOW)
        foreseen = await workers[0].read([f"{owner}-nobody"], NOW, foreseen={0: sent})
        for worker in workers:
            await worker.close()
        return stored.X[0], foreseen.X[0]

    for row in asyncio.run(deliver()):
        same(by_name(counted, row), expected(events))


def test_a_decayed_count_is_right_for_months(counted: FeatureSchema) -> None:
    aggregates = Aggregates(counted)
    state = b"".join(aggregates.records(event(n, "view", n * 3600.0, topic="tv"))[0] for n in range(2000))
    values = aggregates.values([state], NOW + 30 * DAY)
    column = aggregates.columns.tolist().index(counted.slice("decayed").start)
    wanted = sum(2 ** (-(n * 3600.0 + 30 * DAY) / HALF_LIFE) for n in range(2000))
    assert values[0, column] == pytest.approx(wanted, rel=1e-6)


def test_of_whom_nothing_happened_nothing_is_counted_and_the_rest_is_missing(counted: FeatureSchema) -> None:
    aggregates = Aggregates(counted)
    [row] = aggregates.values([None], NOW)
    found = dict(zip([counted.columns[c] for c in aggregates.columns], row, strict=True))
    assert {name for name, value in found.items() if value == 0} == {
        "short", "long", "chosen", "spent", "rate", "topics", "decayed",
    }  # fmt: skip
    assert np.isnan([found["last"], found["price"], found["ago"]]).all()


def test_what_cannot_be_used_is_left_out_and_told(counted: FeatureSchema) -> None:
    aggregates = Aggregates(counted)
    for price in ("9", None, True, [1], 1e300, math.nan):
        records, misfits = aggregates.records(event(1, "buy", 0, price=price))
        assert {misfit.feature for misfit in misfits} == {"spent", "price"}
        assert len(records) == 24  # the count
    records, misfits = aggregates.records(event(1, "view", 0, topic={"a": 1}))
    assert {misfit[:2] for misfit in misfits} == {("topics", "topic"), ("last", "topic")}


def test_a_definition_keeps_its_state_when_only_names_and_units_change(tmp_path: Path) -> None:
    line = "{type: number, source: behaviour, aggregate: %s, description: x}"

    def mark(aggregate: str, name: str = "a") -> int:
        return tally_of(load(tmp_path, f"features:\n  {name}: {line % aggregate}\n").features[0]).mark

    base = mark("{kind: count, event: view, window: 7d}")
    assert mark("{kind: count, event: view, window: 168h}", "b") == base
    assert mark("{kind: rate, event: view, window: 7d, unit: d}") == base
    for other in (
        "{kind: count, event: view, window: 8d}",
        "{kind: count, event: views, window: 7d}",
        "{kind: count, event: view, window: 7d, where: {a: 1}}",
        "{kind: sum, event: view, property: a, window: 7d}",
        "{kind: distinct, event: view, property: a, window: 7d}",
        "{kind: decayed, event: view, half_life: 7d}",
    ):
        assert mark(other) != base


def test_aggregates_do_not_lie_in_the_vector_and_belong_to_the_definition(counted: FeatureSchema) -> None:
    assert counted.assembled(Source.BEHAVIOUR) == ()
    again = FeatureSchema.from_definition(counted.definition())
    assert [f.aggregate for f in again.features] == [f.aggregate for f in counted.features]


def test_distinct_values_are_told_apart_up_to_a_limit(
    counted: FeatureSchema, embedded_store_url: str
) -> None:
    """Beyond it the latest are kept, whatever came first."""

    async def scenario() -> list[float]:
        store = CustomerStore(connect(embedded_store_url, timeout=30), counted)
        for owner, step in (("many-up", 1), ("many-down", -1)):
            events = [event(n, "view", n * 3_600.0, topic=f"t{n}") for n in range(MOST_VALUES + 50)][::step]
            owned = [msgspec.structs.replace(e, customer_id=owner) for e in events]
            await store.events.apply(owned, NOW)
        rows = [await store.read(["many-up", "many-down"], NOW + days * DAY) for days in (0, 28)]
        await store.close()
        return [x for row in rows for x in row.X[:, counted.slice("topics").start]]

    assert asyncio.run(scenario()) == [MOST_VALUES, MOST_VALUES, 48, 48]


@pytest.mark.parametrize(
    ("feature", "path", "message"),
    [
        ("type: number, source: profile, aggregate: {kind: count, event: a, window: 1d}",
         "aggregate", "only a behaviour feature comes from events"),
        ("type: number, source: behaviour, max_age: 1d, aggregate: {kind: count, event: a, window: 1d}",
         "aggregate", "leave max_age out"),
        ("type: flag, source: behaviour, aggregate: {kind: count, event: a, window: 1d}",
         "aggregate.kind", "count gives a number, and this feature is a flag"),
        ("type: set, members: [a], source: behaviour, aggregate: {kind: last, event: a, property: b}",
         "aggregate.kind", "last gives a category or flag or number or timestamp"),
        ("type: number, source: behaviour, aggregate: {kind: count, event: a}",
         "aggregate", "count needs a window, such as 30m"),
        ("type: number, source: behaviour, aggregate: {kind: count, event: a, window: 10}",
         "aggregate.window", "must be a number and a unit"),
        ("type: number, source: behaviour, aggregate: {kind: count, event: a, window: 10s}",
         "aggregate.window", "must be between 1m and 400d"),
        ("type: number, source: behaviour, aggregate: {kind: sum, event: a, window: 1d}",
         "aggregate", "sum needs a property"),
        ("type: number, source: behaviour, aggregate: {kind: count, event: a, property: b, window: 1d}",
         "aggregate.property", "count is of events"),
        ("type: number, source: behaviour, aggregate: {kind: decayed, event: a, window: 1d}",
         "aggregate.window", "forgets by its half_life"),
        ("type: number, source: behaviour, aggregate: {kind: count, event: a, window: 1d, half_life: 1d}",
         "aggregate.half_life", "only decayed has a half_life"),
        ("type: number, source: behaviour, aggregate: {kind: rate, event: a, window: 1d}",
         "aggregate", "rate needs a unit"),
        ("type: number, source: behaviour, aggregate: {kind: count, event: a, window: 1d, unit: d}",
         "aggregate.unit", "has no unit"),
        ("type: number, source: behaviour, aggregate: {kind: count, event: [a, a], window: 1d}",
         "aggregate.event", "listed twice"),
        ("type: number, source: behaviour, aggregate: {kind: cuont, event: a, window: 1d}",
         "aggregate.kind", "did you mean 'count'?"),
        ("type: number, source: behaviour, aggregate: {kind: count, event: a, windw: 1d}",
         "aggregate.windw", "did you mean 'window'?"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_its_line(
    tmp_path: Path, feature: str, path: str, message: str
) -> None:
    with pytest.raises(WorkspaceError) as error:
        load(tmp_path, f"features:\n  views:\n    {{{feature}, description: x}}\n")
    found = {problem.path: problem for problem in error.value.problems}
    assert message in found[f"features.views.{path}"].message
    assert found[f"features.views.{path}"].line == 3
