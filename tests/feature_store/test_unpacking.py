"""Compiled loops say of any bytes what the plain definition of their records says."""

from collections.abc import Iterator

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from feature_store.codec import Codec
from feature_store.feature import Feature, FeatureType, Source
from feature_store.schema import FeatureSchema

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
