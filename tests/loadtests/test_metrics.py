"""What is read out of the service's metrics."""

import pytest

from loadtests.metrics import degraded_share


def test_degraded_decisions_are_counted_over_all_channels() -> None:
    metrics = """
# TYPE arbiter_decisions counter
arbiter_decisions_total{arm="a",channel="web",mode="full"} 70.0
arbiter_decisions_total{arm="a",channel="web",mode="degraded"} 15.0
arbiter_decisions_total{arm="a",channel="call_centre",mode="degraded"} 5.0
arbiter_decisions_total{arm="a",channel="push",mode="fallback"} 10.0
arbiter_decisions_created{arm="a",channel="web",mode="full"} 1.7e+09
"""
    assert degraded_share(metrics) == pytest.approx(0.2)
    assert degraded_share("") == 0


def test_a_fallback_that_lacks_input_is_degraded_and_any_other_is_not() -> None:
    metrics = """
# TYPE arbiter_decisions counter
arbiter_decisions_total{arm="a",channel="web",mode="full"} 70.0
arbiter_decisions_total{arm="a",channel="web",mode="degraded"} 10.0
arbiter_decisions_total{arm="a",channel="web",mode="fallback"} 20.0
# TYPE arbiter_degraded counter
arbiter_degraded_total{what="features:timeout"} 16.0
arbiter_degraded_total{what="scoring:deadline"} 3.0
"""
    assert degraded_share(metrics) == pytest.approx(0.16)
