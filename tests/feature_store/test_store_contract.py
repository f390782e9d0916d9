"""What the store promises, on every kind of server."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from feature_store.codec import Codec
from feature_store.consents import DENIED, GRANTED, UNKNOWN, Consent, ConsentNames
from feature_store.history import MAX_RECORDS, name_hash
from feature_store.outcomes import OUTCOME_LOG, unpack_outcomes
from feature_store.schema import Feature, FeatureSchema, FeatureType, Source
from feature_store.store import (
    CustomerStore,
    InvalidFeatures,
    Outcome,
    StoreUnavailable,
    connect,
)

NOW = 1_767_225_600.0  # 2026-01-01
DAY = 86_400.0
PROFILE = {
    "age": 37.5,
    "is_business": True,
    "segment": "soho",
    "products": ["fibre_500", "tv"],
    "contract_end": "2027-02-03T04:05:06.700000Z",
}
RunWithStore = Callable[..., None]


@pytest.fixture
def customer() -> str:
    """An id that no other test has."""
    return uuid.uuid4().hex


def outcome(customer_id: str, **changes: object) -> Outcome:
    values = {
        "outcome_id": uuid.uuid4().bytes,
        "customer_id": customer_id,
        "decision_id": "d1",
        "outcome": "click",
        "channel": "web",
        "placement": "home_hero",
        "issue": "sales",
        "group": "internet",
        "action": "fibre_500",
        "treatment": "fibre_500_hero",
        "rank": 1,
        "propensity": 0.1,
        "selection_probability": 1.0,
        "value": 12.5,
        "occurred_at": NOW,
        "expires_at": NOW + DAY,
    }
    return Outcome(**(values | changes))  # type: ignore[arg-type]


def test_values_of_every_type_come_back_as_they_were_put(run_with_store: RunWithStore, customer: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        await store.put(customer, PROFILE, "acme", now=NOW)
        found = await store.get(customer)
        assert found is not None
        assert (found.profile, found.behaviour) == (PROFILE, {})
        assert (found.account_id, found.updated_at) == ("acme", NOW)
        rows = await store.read([customer], NOW)
        assert store.schema.decode(rows.X[0], Source.PROFILE) == PROFILE
        assert rows.known.all()
        assert rows.assembled_at.tolist() == [NOW]
        assert rows.faults == ()

    run_with_store(scenario)


def test_an_unknown_customer_is_a_row_of_missing_values(run_with_store: RunWithStore, customer: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        await store.put(customer, {"age": 20}, now=NOW)
        rows = await store.read(["nobody", customer, "nobody else"], NOW)
        assert rows.known.tolist() == [False, True, False]
        assert np.isnan(rows.X[[0, 2]]).all()
        assert rows.X[1, store.schema.slice("age")] == 20
        assert np.isnan(rows.assembled_at[[0, 2]]).all()
        assert await store.get("nobody") is None

    run_with_store(scenario)


def test_an_empty_batch_needs_no_answer(run_with_store: RunWithStore, schema: FeatureSchema) -> None:
    async def scenario(store: CustomerStore) -> None:
        rows = await store.read([], NOW)
        assert rows.X.shape == (0, schema.width)
        assert await store.record_outcomes([], NOW) == []

    run_with_store(scenario)


def test_a_partial_put_leaves_the_other_features_alone(run_with_store: RunWithStore, customer: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        await store.put(customer, PROFILE, "acme", now=NOW)
        await store.put(customer, {"segment": "enterprise", "age": None, "products": []}, now=NOW + 1)
        found = await store.get(customer)
        assert found is not None
        expected = PROFILE | {"segment": "enterprise", "products": []}
        del expected["age"]
        assert found.profile == expected
        assert found.account_id == "acme"
        await store.put(customer, {}, "", now=NOW + 2)
        assert (await store.get(customer)).account_id is None  # type: ignore[union-attr]

    run_with_store(scenario)


def test_a_put_with_a_wrong_value_changes_nothing_and_names_each(
    run_with_store: RunWithStore, customer: str
) -> None:
    async def scenario(store: CustomerStore) -> None:
        await store.put(customer, PROFILE, now=NOW)
        wrong = {"age": "old", "segmnt": "soho", "visits_30d": 3, "segment": "enterprise"}
        with pytest.raises(InvalidFeatures) as refused:
            await store.put(customer, wrong, now=NOW)
        assert {error.field for error in refused.value.errors} == {"age", "segmnt", "visits_30d"}
        assert "did you mean 'segment'?" in str(refused.value)
        assert (await store.get(customer)).profile == PROFILE  # type: ignore[union-attr]

    run_with_store(scenario)


def test_a_thousand_customers_are_written_and_read_at_once(
    run_with_store: RunWithStore, customer: str, schema: FeatureSchema
) -> None:
    async def scenario(store: CustomerStore) -> None:
        names = [f"{customer}-{number}" for number in range(1000)]
        X = np.full((1000, schema.width), np.nan)
        X[:, schema.slice("age")] = np.arange(1000)[:, None]
        X[:, schema.slice("last_page")] = (np.arange(1000) % 2)[:, None]
        await store.write(names, X, [f"account {number}" for number in range(1000)], NOW)
        rows = await store.read(names[::-1], NOW)
        np.testing.assert_array_equal(rows.X, X[::-1])
        assert rows.known.all()
        found = await store.get(names[7])
        assert found is not None
        assert (found.account_id, found.behaviour) == ("account 7", {"last_page": "cart"})

    run_with_store(scenario)


def test_writing_one_source_leaves_the_other_and_the_account_alone(
    run_with_store: RunWithStore, customer: str, schema: FeatureSchema
) -> None:
    async def scenario(store: CustomerStore) -> None:
        await store.put(customer, PROFILE, "acme", now=NOW)
        X = np.full((1, schema.width), np.nan)
        X[0, schema.slice("visits_30d")] = 4
        await store.write([customer], X, None, NOW, [Source.BEHAVIOUR])
        found = await store.get(customer)
        assert found is not None
        assert (found.account_id, found.profile, found.behaviour) == ("acme", PROFILE, {"visits_30d": 4})

    run_with_store(scenario)


def test_the_last_of_two_rows_of_one_customer_counts(
    run_with_store: RunWithStore, customer: str, schema: FeatureSchema
) -> None:
    async def scenario(store: CustomerStore) -> None:
        X = np.full((2, schema.width), np.nan)
        X[:, schema.slice("age")] = [[1], [2]]
        await store.write([customer, customer], X, None, NOW)
        rows = await store.read([customer, customer], NOW)
        assert rows.X[:, schema.slice("age")].ravel().tolist() == [2, 2]

    run_with_store(scenario)


STRANGE_IDS = [
    "a}b",
    "{",
    "}",
    "{}",
    "{a}{b}",
    "a\r\nb",
    "ünïcödé-客户-🙂",
    "x" * 128,
    "客" * 128,
    "\ud800",
    "0",
]


@pytest.mark.parametrize("customer_id", STRANGE_IDS)
def test_any_id_is_a_customer_of_its_own(run_with_store: RunWithStore, customer_id: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        await store.put(customer_id, {"age": 50}, now=NOW)
        assert (await store.read([customer_id, customer_id + "."], NOW)).known.tolist() == [True, False]
        assert await store.record_outcomes([outcome("ok")], NOW) == [True]
        assert await store.delete(customer_id, now=NOW)

    run_with_store(scenario)


def test_a_feature_past_its_age_is_missing_and_a_partial_put_does_not_rejuvenate_it(
    run_with_store: RunWithStore, customer: str, schema: FeatureSchema
) -> None:
    async def scenario(store: CustomerStore) -> None:
        age, segment = schema.slice("age"), schema.slice("segment")
        await store.put(customer, PROFILE, now=NOW)
        await store.put(customer, {"segment": "consumer"}, now=NOW + 300 * DAY)
        fresh = await store.read([customer], NOW + 365 * DAY)
        assert fresh.X[0, age] == PROFILE["age"]
        stale = await store.read([customer], NOW + 366 * DAY)
        assert np.isnan(stale.X[0, age])
        assert stale.X[0, segment] == 0
        await store.put(customer, {"age": 38}, now=NOW + 366 * DAY)
        again = await store.read([customer], NOW + 367 * DAY)
        assert again.X[0, age] == 38

    run_with_store(scenario)


def test_vectors_of_an_older_schema_are_migrated_by_name(
    run_with_store: RunWithStore, customer: str, schema: FeatureSchema
) -> None:
    newer = FeatureSchema(
        (
            Feature("segment", FeatureType.CATEGORY, Source.PROFILE, levels=("enterprise", "micro", "soho")),
            Feature("products", FeatureType.SET, Source.PROFILE, members=("tv", "mail", "fibre_500")),
            Feature("contract_end", FeatureType.TIMESTAMP, Source.PROFILE, max_age=DAY),
            Feature("is_business", FeatureType.NUMBER, Source.PROFILE),
            Feature("age", FeatureType.NUMBER, Source.PROFILE),
        )
    )
    moved = {key: PROFILE[key] for key in ("age", "segment", "contract_end")} | {
        "products": ["tv", "fibre_500"]
    }

    async def before(store: CustomerStore) -> None:
        await store.put(customer, PROFILE, now=NOW)

    async def after(store: CustomerStore) -> None:
        rows = await store.read([customer, "nobody"], NOW)
        assert store.schema.decode(rows.X[0], Source.PROFILE) == moved
        assert rows.faults == ()
        late = await store.read([customer], NOW + 2 * DAY)
        assert np.isnan(late.X[0, newer.slice("contract_end")]).all()
        await store.put(customer, {"age": 38}, now=NOW)
        assert (await store.get(customer)).profile == moved | {"age": 38}  # type: ignore[union-attr]

    run_with_store(before)
    run_with_store(after, of=newer)


def test_a_vector_of_an_unknown_schema_is_a_fault_and_never_misread(
    store_url: str, run_with_store: RunWithStore, customer: str, schema: FeatureSchema
) -> None:
    stranger = FeatureSchema((Feature(customer, FeatureType.NUMBER, Source.PROFILE),))

    async def unregistered() -> None:
        [vector] = Codec(stranger, Source.PROFILE).encode(np.array([[5.0]]), NOW)
        client = connect(store_url)
        await client.run([("HSET", f"arb:{{{customer}}}", "p", vector)])
        await client.close()

    async def scenario(store: CustomerStore) -> None:
        await store.put(customer + "2", PROFILE, now=NOW)
        for _ in range(2):
            rows = await store.read([customer, customer + "2"], NOW)
            assert np.isnan(rows.X[0]).all()
            assert store.schema.decode(rows.X[1], Source.PROFILE) == PROFILE
            assert len(rows.faults) == 1
            assert rows.incomplete.tolist() == [True, False]
            assert "unknown fingerprint" in rows.faults[0]
        with pytest.raises(StoreUnavailable, match="unknown fingerprint"):
            await store.put(customer, PROFILE, now=NOW)
        await store.write([customer], np.zeros((1, schema.width)), None, NOW)
        assert (await store.read([customer], NOW)).faults == ()

    asyncio.run(unregistered())
    run_with_store(scenario)


def test_a_key_of_another_type_is_a_fault_of_that_customer_alone(
    store_url: str, run_with_store: RunWithStore, customer: str
) -> None:
    async def scenario(store: CustomerStore) -> None:
        client = connect(store_url)
        await client.run([("SET", f"arb:{{{customer}}}", "what?")])
        await client.close()
        await store.put(customer + "2", PROFILE, now=NOW)
        rows = await store.read([customer, customer + "2"], NOW)
        assert rows.known.tolist() == [False, True]
        assert "WRONGTYPE" in rows.faults[0]

    run_with_store(scenario)


def test_a_customer_is_forgotten_after_the_time_to_live_which_every_write_renews(
    store_url: str, run_with_store: RunWithStore, customer: str, schema: FeatureSchema
) -> None:
    async def ttl() -> int:
        client = connect(store_url)
        [seconds] = await client.run([("TTL", f"arb:{{{customer}}}")])
        await client.run([("EXPIRE", f"arb:{{{customer}}}", 50)])
        await client.close()
        return int(seconds)

    async def mortal(store: CustomerStore) -> None:
        await store.put(customer, PROFILE, now=NOW)
        assert 95 <= await ttl() <= 100
        await store.write([customer], np.full((1, schema.width), np.nan), None, NOW)
        assert 95 <= await ttl() <= 100
        await store.record_outcomes([outcome(customer)], NOW)
        assert 95 <= await ttl() <= 100

    async def immortal(store: CustomerStore) -> None:
        await store.put(customer, PROFILE, now=NOW)
        assert await ttl() == -1
        await store.write([customer], np.full((1, schema.width), np.nan), None, NOW)
        assert await ttl() == -1

    async def gone(store: CustomerStore) -> None:
        await store.put(customer, PROFILE, now=NOW)
        await asyncio.sleep(1.2)
        assert await store.get(customer) is None

    run_with_store(mortal, customer_ttl=100)
    run_with_store(immortal)
    run_with_store(gone, customer_ttl=1)


def test_a_deleted_customer_is_gone_with_everything(run_with_store: RunWithStore, customer: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        await store.put(customer, PROFILE, "acme", now=NOW)
        await store.record_outcomes([outcome(customer)], NOW)
        assert await store.delete(customer, now=NOW) is True
        assert await store.get(customer) is None
        assert not (await store.read([customer], NOW)).known.any()
        assert await store.delete(customer, now=NOW) is False

    run_with_store(scenario)


def test_an_outcome_counts_once_however_often_it_is_reported(
    store_url: str, run_with_store: RunWithStore, customer: str
) -> None:
    first, second = outcome(customer), outcome(customer, outcome="accept", value=None)
    elsewhere = outcome(customer + "2")

    async def scenario(store: CustomerStore) -> None:
        assert await store.record_outcomes([first, second, first, elsewhere], NOW) == [
            True,
            True,
            False,
            True,
        ]
        assert await store.record_outcomes([second, elsewhere, first], NOW) == [False, False, False]
        found = await store.get(customer)
        assert found is not None
        assert found.history["outcome"].tolist() == [name_hash("click"), name_hash("accept")]
        assert found.history["action"].tolist() == [name_hash("fibre_500")] * 2
        assert found.history["time"].tolist() == [NOW, NOW]
        assert found.history["value"][0] == 12.5
        assert np.isnan(found.history["value"][1])
        assert found.profile == {}
        assert not (await store.read([customer], NOW)).known.any()

    run_with_store(scenario)


def test_concurrent_reports_of_the_same_outcomes_count_each_once(
    run_with_store: RunWithStore, customer: str
) -> None:
    outcomes = [outcome(customer) for _ in range(20)]

    async def scenario(store: CustomerStore) -> None:
        reports = await asyncio.gather(*(store.record_outcomes(outcomes, NOW) for _ in range(5)))
        assert np.sum(reports, axis=0).tolist() == [1] * 20
        assert len((await store.get(customer)).history) == 20  # type: ignore[union-attr]

    run_with_store(scenario)


def test_the_log_holds_every_outcome_as_it_was_reported(
    store_url: str, run_with_store: RunWithStore, customer: str
) -> None:
    outcomes = [outcome(customer), outcome(customer + "2", value=None)]

    async def scenario(store: CustomerStore) -> None:
        await store.record_outcomes(outcomes, NOW)
        client = connect(store_url)
        [[(_, (field, entry))]] = await client.run([("XREVRANGE", OUTCOME_LOG, "+", "-", "COUNT", 1)])
        await client.close()
        assert field == b"outcomes"
        assert unpack_outcomes(entry) == outcomes

    run_with_store(scenario)


def test_an_expired_outcome_id_is_forgotten_and_the_others_are_not(
    run_with_store: RunWithStore, customer: str
) -> None:
    short, long = outcome(customer, expires_at=NOW + 10), outcome(customer, expires_at=NOW + 10 * DAY)

    async def scenario(store: CustomerStore) -> None:
        assert await store.record_outcomes([short, long], NOW) == [True, True]
        assert await store.record_outcomes([outcome(customer)], NOW + 11) == [True]
        assert await store.record_outcomes([short, long], NOW + 11) == [True, False]

    run_with_store(scenario)


def test_the_history_keeps_the_last_records(run_with_store: RunWithStore, customer: str) -> None:
    outcomes = [outcome(customer, occurred_at=NOW + number) for number in range(MAX_RECORDS + 5)]

    async def scenario(store: CustomerStore) -> None:
        await store.record_outcomes(outcomes, NOW)
        found = await store.get(customer)
        assert found is not None
        assert found.history["time"].tolist() == [NOW + number for number in range(5, MAX_RECORDS + 5)]

    run_with_store(scenario)


def test_an_outcome_id_of_another_length_is_refused(run_with_store: RunWithStore, customer: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        with pytest.raises(ValueError, match="16 bytes"):
            await store.record_outcomes([outcome(customer, outcome_id=b"short")], NOW)
        assert await store.get(customer) is None

    run_with_store(scenario)


def test_concurrent_puts_of_different_features_all_stay(run_with_store: RunWithStore, customer: str) -> None:
    async def scenario(store: CustomerStore) -> None:
        await asyncio.gather(
            *(
                store.put(customer, {name: value}, now=NOW)
                for name, value in PROFILE.items()
                for _ in range(4)
            )
        )
        assert (await store.get(customer)).profile == PROFILE  # type: ignore[union-attr]

    run_with_store(scenario)


def test_defaults_are_not_filled_in(
    run_with_store: RunWithStore, customer: str, schema: FeatureSchema
) -> None:
    async def scenario(store: CustomerStore) -> None:
        await store.put(customer, {"segment": "soho"}, now=NOW)
        assert np.isnan((await store.read([customer], NOW)).X[0, schema.slice("products")]).all()

    run_with_store(scenario)


def test_the_same_store_under_a_schema_with_other_ages_reads_the_same_values(
    run_with_store: RunWithStore, customer: str, schema: FeatureSchema
) -> None:
    timeless = FeatureSchema(tuple(replace(feature, max_age=None) for feature in schema.features))

    async def before(store: CustomerStore) -> None:
        await store.put(customer, PROFILE, now=NOW)

    async def after(store: CustomerStore) -> None:
        rows = await store.read([customer], NOW + 1000 * DAY)
        assert store.schema.decode(rows.X[0], Source.PROFILE) == PROFILE

    run_with_store(before)
    run_with_store(after, of=timeless)


def test_consents_are_set_one_by_one_replaced_and_taken_back(
    run_with_store: RunWithStore, customer: str
) -> None:
    names = ConsentNames(("marketing", "research"), ("web", "email"))

    async def scenario(store: CustomerStore) -> None:
        agreed = Consent("marketing", "email", GRANTED)
        await store.set_consents(customer, [agreed, Consent("research", "web", GRANTED)], now=NOW)
        await store.set_consents(customer, [Consent("marketing", "email", DENIED)], now=NOW + 1)
        rows = await store.read([customer, "nobody"], NOW)
        states = names.decode(rows.consents)
        assert states is not None
        assert states.tolist() == [[[-1, 0], [1, -1]], [[-1, -1], [-1, -1]]]
        assert not rows.known.any()
        stored = await store.get(customer)
        assert stored is not None
        assert sorted(entry[2:] for entry in stored.consents) == [(0, NOW + 1), (1, NOW)]
        await store.set_consents(customer, [Consent("marketing", "email", UNKNOWN)], now=NOW)
        await store.set_consents(customer, [Consent("research", "web", UNKNOWN)], now=NOW)
        assert await store.get(customer) is None

    run_with_store(scenario)


def test_consents_of_a_batch_are_told_apart_and_what_means_nothing_is_passed_over() -> None:
    names = ConsentNames(("marketing", "research"), ("web", "email", "push"))
    known = [Consent(p, c, GRANTED).record(NOW) for p in names.purposes for c in names.channels]
    other = Consent("surveys", "web", GRANTED).record(NOW)
    no = Consent("research", "push", DENIED).record(NOW)
    states = names.decode([None, b"".join(known), b"", other + no + known[0][:9], b"\xff" * len(no)])
    assert states is not None
    assert states.tolist() == [
        [[-1, -1, -1], [-1, -1, -1]],
        [[1, 1, 1], [1, 1, 1]],
        [[-1, -1, -1], [-1, -1, -1]],
        [[-1, -1, -1], [-1, -1, 0]],
        [[-1, -1, -1], [-1, -1, -1]],
    ]
    assert names.decode([None, b""]) is None
    assert ConsentNames((), ("web",)).decode([no]) is None


def test_consents_of_many_writers_are_all_kept(run_with_store: RunWithStore, customer: str) -> None:
    channels = tuple(f"channel_{number}" for number in range(20))

    async def scenario(store: CustomerStore) -> None:
        await asyncio.gather(
            *(store.set_consents(customer, [Consent("p", c, GRANTED)], now=NOW) for c in channels)
        )
        states = ConsentNames(("p",), channels).decode((await store.read([customer], NOW)).consents)
        assert states is not None
        assert (states == GRANTED).all()

    run_with_store(scenario)


def test_consents_are_erased_with_the_customer_and_leave_the_profile_alone(
    run_with_store: RunWithStore, customer: str
) -> None:
    async def scenario(store: CustomerStore) -> None:
        await store.put(customer, PROFILE, now=NOW)
        await store.set_consents(customer, [Consent("p", "web", GRANTED)], now=NOW)
        stored = await store.get(customer)
        assert stored is not None
        assert stored.profile == PROFILE
        assert await store.delete(customer, now=NOW)
        assert (await store.read([customer], NOW)).consents == (None,)

    run_with_store(scenario)


def test_word_of_a_change_reaches_all_who_share_the_store(run_with_store: RunWithStore) -> None:
    async def scenario(store: CustomerStore) -> None:
        await store.announce("first")
        await store.announce("second")
        assert await store.announced() == "second"

    run_with_store(scenario)
