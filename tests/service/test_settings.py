"""Settings that can't be meant are refused before anything is started, by the name of their variable."""

import pytest
from typer.testing import CliRunner

from service.cli.main import app
from service.settings import Settings


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("PORT", "http", "must be a valid integer"),
        ("WORKERS", "0", "must be greater than or equal to 1"),
        ("HOST", "", "must have at least 1 character"),
        ("STORE_TIMEOUT_MS", "inf", "must be less than or equal to 60000"),
        ("STORE_RETRY_MS", "nan", "must be "),
        ("CUSTOMER_TTL_DAYS", "inf", "must be less than or equal to 36500"),
        ("CUSTOMER_TTL_DAYS", "1e30", "must be less than or equal to 36500"),
        ("TOKEN_DAYS", "1e300", "must be less than or equal to 36500"),
        ("TOKEN_SECRET", "too short", "must have at least 16 characters, not 9"),
        ("LOG_LEVEL", "loud", "must be 'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_a_bad_setting_is_told_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: str
) -> None:
    monkeypatch.setenv(f"ARBITER_{name}", value)
    result = CliRunner().invoke(app, ["run"])
    assert result.exit_code == 1
    assert f"ARBITER_{name}: {wanted}" in result.output


def test_a_log_level_may_be_written_in_capitals() -> None:
    assert Settings(log_level="WARNING").log_level == "warning"
