"""Compiled loops say of any bytes what the plain definition of their records says."""

from collections.abc import Iterator

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from feature_store.codec import Codec
from feature_store.consents import RECORD as CONSENT_RECORD
from feature_store.consents import UNKNOWN, Consent, ConsentNames
from feature_store.contacts import RESERVATION
from feature_store.feature import Feature, FeatureType, Source
from feature_store.history import MAX_RECORDS, RECORD
from feature_store.records import packed
from feature_store.schema import FeatureSchema
from feature_store.unpacking import Columns, unpack_contacts

NOW = 1_767_225_600.0
KINDS = (FeatureType.NUMBER, FeatureType.TIMESTAMP, FeatureType.CATEGORY, FeatureType.FLAG, FeatureType.SET)


@st.composite
def schemas(draw: st.DrawFn) -> FeatureSchema:
    """Features of all types in any order, some of which age, and some of which are no part of a profile."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=12))
    return FeatureSchema(
        tuple(
            Feature(
                name=f"f{number}",
                type=kind,
                source=draw(st.sampled_from((Source.PROFILE, Source.CONTEXT))),
                levels=("x", "y", "z") if kind is FeatureType.CATEGORY else (),
                members=tuple("abcdefghi"[: draw(st.integers(1, 9))]) if kind is FeatureType.SET else (),
                max_age=draw(st.none() | st.sampled_from([60, 86_400.0])),
            )
            for number, kind in enumerate(kinds)
        )
    )


def vectors(codec: Codec, count: int, seed: int) -> NDArray[np.void]:
    """So many records of a codec: of random bytes, but for codes, which are of levels or -1."""
    rng = np.random.default_rng(seed)
    records = np.frombuffer(bytearray(rng.bytes(count * codec.dtype.itemsize)), codec.dtype)
    records["fingerprint"] = np.frombuffer(bytes.fromhex(codec.fingerprint), "<u8")
    records["updated"] = NOW - rng.choice([0, 59, 60, 61, 86_400, 86_401], records["updated"].shape)
    records["codes"] = rng.integers(-1, 3, records["codes"].shape)
    return records


def plainly(codec: Codec, record: np.void, now: float) -> Iterator[tuple[Feature, list[float]]]:
    """What a record says of each feature of its codec, by the definition in the docstring of `codec`."""
    floats, codes = iter(record["floats"].tolist()), iter(record["codes"].tolist())
    bits = iter(np.unpackbits(record["bits"]).tolist())
    updated = dict(zip((f.name for f in codec.timed), record["updated"].tolist(), strict=True))
    for feature in codec.features:
        if feature.type in (FeatureType.NUMBER, FeatureType.TIMESTAMP):
            values = [next(floats)]
        elif feature.type is FeatureType.CATEGORY:
            code = next(codes)
            values = [np.nan if code == -1 else float(code)]
        else:
            known = next(bits)
            values = [float(next(bits)) if known else next(bits) * np.nan for _ in range(feature.width)]
        old = feature.max_age is not None and updated[feature.name] < now - feature.max_age
        yield feature, [np.nan] * feature.width if old else values


@given(schemas(), st.integers(1, 5), st.integers(0, 2**32 - 1), st.sampled_from([NOW, -np.inf]))
def test_any_bytes_of_a_vector_mean_what_its_definition_says(
    schema: FeatureSchema, count: int, seed: int, now: float
) -> None:
    codec = Codec(schema, Source.PROFILE)
    records = vectors(codec, count, seed)
    X, expected = np.full((2, count, schema.width), 7.0)  # what is not of the codec stays
    decoded = codec.decode([record.tobytes() for record in records], X, now)
    for record, row in zip(records, expected, strict=True):
        for feature, values in plainly(codec, record, now):
            row[schema.slice(feature.name)] = values
    np.testing.assert_array_equal(X, expected)
    np.testing.assert_array_equal(decoded.assembled_at, records["assembled_at"])


NAMES = ConsentNames(("marketing", "research"), ("web", "email", "push"))


def consent(purpose: str, channel: str, state: int) -> bytes:
    return Consent(purpose, channel, state).record(NOW)


consents = st.builds(
    consent,
    st.sampled_from([*NAMES.purposes, "forgotten"]),
    st.sampled_from([*NAMES.channels, "telex"]),
    st.integers(-1, 1),
)
rests = st.binary(max_size=CONSENT_RECORD.itemsize - 1)
"""What may be left of a record that was cut short."""


@given(st.lists(st.tuples(st.lists(consents, max_size=8), rests), min_size=1, max_size=5))
def test_the_last_consent_of_each_purpose_and_channel_counts_wherever_it_stands(
    stored: list[tuple[list[bytes], bytes]],
) -> None:
    expected = np.full((len(stored), 2, 3), UNKNOWN)
    for row, (records, _) in enumerate(stored):
        for record in records:
            for place in np.ndindex(2, 3):
                if record[:8] == consent(NAMES.purposes[place[0]], NAMES.channels[place[1]], 0)[:8]:
                    expected[row][place] = np.frombuffer(record, CONSENT_RECORD)["state"][0]
    blobs = [b"".join(records) + rest for records, rest in stored]
    states = NAMES.decode(blobs)
    assert (states is None) == (not any(blobs))
    assert states is None or np.array_equal(states, expected)


def contacts(histories: list[bytes | None], reservations: list[bytes | None], unread: list[bool]) -> Columns:
    data, sizes = packed([*histories, *reservations])
    return unpack_contacts(data, sizes, np.array(unread), MAX_RECORDS, RECORD.itemsize, RESERVATION.itemsize)


def blobs_of(dtype: np.dtype[np.void], most: int) -> st.SearchStrategy[bytes | None]:
    """Any bytes of up to so many records and a part of one more."""
    return st.none() | st.builds(
        lambda size, seed: np.random.default_rng(seed).bytes(size),
        st.integers(0, (most + 1) * dtype.itemsize - 1),
        st.integers(0, 2**32 - 1),
    )


customers = st.tuples(blobs_of(RECORD, 3), blobs_of(RESERVATION, 2), st.booleans())


@given(st.lists(customers, min_size=1, max_size=5), st.booleans())
def test_contacts_are_the_whole_records_of_histories_and_then_of_reservations(
    stored: list[tuple[bytes | None, bytes | None, bool]], reserves: bool
) -> None:
    histories, reservations, unread = map(list, zip(*stored, strict=True))
    found = contacts(histories, reservations if reserves else [], unread)
    records, rows, expires = [], [], []
    for row, blob in enumerate(histories):
        whole = np.frombuffer(blob or b"", RECORD, len(blob or b"") // RECORD.itemsize)
        records.append(whole)
        rows += [row] * len(whole)
        expires += [np.inf] * len(whole)
    for row, blob in enumerate(reservations if reserves else []):
        reserved = np.frombuffer(blob or b"", RESERVATION, len(blob or b"") // RESERVATION.itemsize)
        records.append(reserved["record"])
        rows += [row] * len(reserved)
        expires += reserved["expires"].tolist()
    assert found.words.tobytes() == np.concatenate(records).tobytes()
    assert found.rows.tolist() == rows
    np.testing.assert_array_equal(found.expires, expires)
    assert found.since.tolist() == [np.inf if lost else -np.inf for lost in unread]


def test_a_history_with_as_many_records_as_are_kept_is_complete_from_its_first_one_on() -> None:
    full = np.zeros(MAX_RECORDS, RECORD)
    full["time"] = np.arange(MAX_RECORDS) + 7.0
    found = contacts([full[1:].tobytes(), full.tobytes(), None], [], [False, False, True])
    assert found.since.tolist() == [-np.inf, 7.0, np.inf]
