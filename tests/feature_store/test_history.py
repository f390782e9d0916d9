import numpy as np

from feature_store import history

NAMES = {
    "outcome": "click",
    "channel": "web",
    "issue": "sales",
    "group": "g",
    "action": "a",
    "treatment": "t",
}


def test_a_record_comes_back_as_it_was_packed() -> None:
    [record], _ = history.unpack([history.pack(1_767_225_600.25, 2.5, **NAMES)])
    assert record["time"] == 1_767_225_600.25
    assert record["value"] == 2.5
    assert {name: record[name] for name in NAMES} == {
        key: history.name_hash(name) for key, name in NAMES.items()
    }


def test_no_value_is_nan_and_a_huge_one_stays_finite() -> None:
    records, _ = history.unpack([history.pack(0, value, **NAMES) for value in (None, 1e300, -1e300)])
    assert np.isnan(records["value"][0])
    assert np.isfinite(records["value"][1:]).all()
    assert records["value"][1] > 1e38 > -1e38 > records["value"][2]


def test_histories_of_a_batch_lie_one_after_the_other() -> None:
    packed = [history.pack(float(time), None, **NAMES) for time in range(5)]
    records, offsets = history.unpack(
        [packed[0] + packed[1], None, b"", packed[2] + packed[3][:7], packed[4]]
    )
    assert offsets.tolist() == [0, 2, 2, 2, 3, 4]
    assert records["time"].tolist() == [0, 1, 2, 4]
    nothing, offsets = history.unpack([])
    assert len(nothing) == 0
    assert offsets.tolist() == [0]


def test_the_hash_of_a_name_never_changes() -> None:
    assert history.name_hash("click") == 682_829_311
    assert history.name_hash("é") < 2**32
