"""Volume limits as policies.yaml says them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from feature_store.documents import WorkspaceError
from service.decisioning.periods import Campaign, Daily, Hourly, Span
from service.decisioning.volumes import VolumeLimit
from service.workspace.loading import load_workspace

from .conftest import Files


def declare(files: Files, *entries: str) -> None:
    path = files.folder / "policies.yaml"
    lines = "".join(f"  - {{{entry}}}\n" for entry in entries)
    path.write_text("volume_limits:\n" + lines + path.read_text())


def limits(files: Files, *entries: str) -> tuple[VolumeLimit, ...]:
    declare(files, *entries)
    return load_workspace(files.folder).engagement.volumes


def test_without_an_entry_there_is_no_limit(files: Files) -> None:
    assert load_workspace(files.folder).engagement.volumes == ()


def test_a_limit_has_everything_that_is_said_of_it(files: Files) -> None:
    [fibre, calls] = limits(
        files,
        "name: fibre_day, at_most: 5000, per: day, timezone: Europe/Berlin, action: fibre_500, pacing: even",
        "name: mails, description: So many fit, at_most: 10, per: hour, issue: sales, channels: [email], "
        "without_store: allow",
    )
    assert (fibre.name, fibre.at_most, fibre.even, fibre.available_without_store) == (
        "fibre_day",
        5000,
        True,
        False,
    )
    assert fibre.period == Daily(ZoneInfo("Europe/Berlin"))
    assert fibre.removal.meaning == "chosen at most 5,000 times per day"
    names = [action.name for action in load_workspace(files.folder).catalogue.actions]
    assert [name for name, covered in zip(names, fibre.actions, strict=True) if covered] == ["fibre_500"]
    assert fibre.channels.tolist() == [True, True]
    assert (calls.period, calls.even, calls.available_without_store) == (Hourly(), False, True)
    assert calls.removal.meaning == "So many fit"
    assert (calls.actions.sum(), calls.channels.tolist()) == (3, [False, True])


def test_the_last_day_of_a_campaign_belongs_to_it(files: Files) -> None:
    [campaign] = limits(files, "name: spring, at_most: 10, per: campaign, start: 2026-03-01, end: 2026-03-31")
    start, end = (datetime(2026, month, 1, tzinfo=UTC).timestamp() for month in (3, 4))
    assert campaign.period == Campaign(Span(start, end))
    assert campaign.actions.all()


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("name: x, at_most: 0, per: day", "policies.yaml:2: volume_limits.0.at_most: "),
        ("name: x, at_most: 1, per: week", "per: must be 'hour', 'day' or 'campaign', not 'week'"),
        ("name: x, at_most: 1, per: day, action: fibre_50", "did you mean 'fibre_500'?"),
        (
            "name: x, at_most: 1, per: day, issue: sale",
            "the catalogue has no issue 'sale'; did you mean 'sales'?",
        ),
        (
            "name: x, at_most: 1, per: day, issue: service, group: mobile",
            "issue 'service' has no group 'mobile'",
        ),
        (
            "name: x, at_most: 1, per: day, issue: service, action: fibre_500",
            "volume_limits.0.action: 'fibre_500' is in group 'internet' of issue 'sales'",
        ),
        (
            "name: x, at_most: 1, per: day, channels: [emial]",
            "channels.0: the catalogue has no channel 'emial'",
        ),
        ("name: x, at_most: 1, per: day, timezone: Europe/Berlim", "did you mean 'Europe/Berlin'?"),
        ("name: x, at_most: 1, per: hour, timezone: UTC", "it goes with 'per: day'"),
        ("name: x, at_most: 1, per: day, start: 2026-01-01", "volume_limits.0.start: says when a campaign"),
        ("name: x, at_most: 1, per: campaign, start: 2026-01-01", "a limit per campaign needs its 'end'"),
        ("name: x, at_most: 1, per: campaign", "a limit per campaign needs its 'start' and 'end'"),
        (
            "name: x, at_most: 1, per: campaign, start: 2026-02-01, end: 2026-01-01",
            "volume_limits.0.end: is not after 'start'",
        ),
        (
            "name: x, at_most: 1, per: campaign, start: 2026-02-01, end: 9999-12-31",
            "can't begin before year 1 or end after year 9999",
        ),
        ("name: x, at_most: 1, per: day, pacing: evenly", "did you mean 'even'?"),
    ],
)
def test_a_fault_is_named_with_its_line_and_what_would_be_right(
    files: Files, entry: str, complaint: str
) -> None:
    declare(files, entry)
    with pytest.raises(WorkspaceError) as refused:
        load_workspace(files.folder)
    assert complaint in str(refused.value)
    assert "policies.yaml:2" in str(refused.value)


def test_two_limits_of_one_name_would_share_a_counter(files: Files) -> None:
    declare(files, "name: x, at_most: 1, per: day", "name: x, at_most: 2, per: hour")
    with pytest.raises(WorkspaceError, match=r"policies.yaml:3: .*'x' stands already in line 2"):
        load_workspace(files.folder)
