"""Contact policies from policies.yaml."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from feature_store.documents import WorkspaceError
from service.decisioning.contact import Contact
from service.decisioning.frequency import Cap, Gap, Pause
from service.workspace.loading import load_workspace

Files = Any  # the class of the fixture

CAP = "{name: c, at_most: 3, of: [impression], within: 7d, per: action, without_history: allow}"


def contact(files: Files, text: str) -> Contact:
    (files.folder / "policies.yaml").write_text(text)
    return load_workspace(files.folder).engagement.contact


def problems(files: Files, text: str) -> list[str]:
    with pytest.raises(WorkspaceError) as caught:
        contact(files, text)
    return [str(problem) for problem in caught.value.problems]


def test_without_policies_there_is_nothing_to_read(files: Files) -> None:
    found = contact(files, "")
    assert not found.reads_customers
    assert not found.reads_accounts
    assert found.removals == ()


def test_caps_gaps_and_pauses_are_read_as_they_are_written(files: Files) -> None:
    found = contact(
        files,
        """\
contact_policies:
  caps:
    - {name: three, at_most: 3, of: [impression, callback], within: 7d, per: issue, issue: sales,
       channels: [web], without_history: allow}
    - {name: once, at_most: 1, of: [accept], within: 30d, per: everything, unit: account, reserve: 10m,
       without_history: suppress, description: One call in a month}
  gaps:
    - {name: a_day, at_least: 24h, of: [impression], per: channel, channels: [email],
       without_history: suppress}
  pauses:
    - {name: enough, after: 3, of: [impression], within: 7d, pause: 10d, per: action, without_history: allow}
    - {name: said_no, after: 1, of: [reject], pause: 90d, per: group, without_history: allow}
""",
    )
    three, once, gap, enough, said_no = found.frequencies
    assert isinstance(three, Cap)
    assert (three.at_most, three.within, three.reserve, three.suppress) == (3, 7 * 86400.0, 0.0, False)
    assert three.meaning == "at most 3 of: impression or callback per issue within 7d"
    outcomes = found.vocabulary.outcomes
    assert {o for o, counts in zip(outcomes, three.counting.outcomes[:-1], strict=True) if counts} == {
        "impression",
        "callback",
    }
    assert (three.counting.keys >= 0).tolist() == [[True, True, True, False], [False] * 4]
    assert isinstance(once, Cap)
    assert (once.by_account, once.reserve, once.meaning) == (True, 600.0, "One call in a month")
    assert once.counting.outcomes[outcomes.index(once.reservation)]
    assert not three.counting.outcomes[outcomes.index(once.reservation)]
    assert isinstance(gap, Gap)
    assert (gap.at_most, gap.within, gap.suppress) == (1, 86400.0, True)
    assert isinstance(enough, Pause)
    assert (enough.after, enough.within, enough.pause) == (3, 7 * 86400.0, 10 * 86400.0)
    assert isinstance(said_no, Pause)
    assert (said_no.horizon, said_no.within) == (90 * 86400.0, np.inf)
    assert found.reads_customers
    assert found.reads_accounts


QUIET = """\
contact_policies:
  quiet_hours:
    - {name: night, from: "21:00", to: "08:00", channels: [email], timezone: customer.home,
       otherwise: Europe/Berlin, days: [sat, sun]}
"""
HOME = (
    "  home: {type: category, source: profile, levels: [America/New_York, Asia/Tokyo], description: Zone}\n"
)


def test_quiet_hours_are_those_of_the_customer_s_time_zone(files: Files) -> None:
    path = files.folder / "features.yaml"
    path.write_text(path.read_text() + HOME)
    (night,) = contact(files, QUIET).quiet_hours
    schema = load_workspace(files.folder).schema
    assert night.covers.tolist() == [[False] * 4, [True] * 4]
    X = np.full((4, schema.width), np.nan)
    X[:3, schema.slice("home").start] = [0.0, 1.0, 1.0]
    saturday = datetime(2026, 1, 3, 12, 30, tzinfo=UTC).timestamp()  # 21:30 in Tokyo, 13:30 in Berlin
    friday = saturday - 86_400
    until = night.until(X, np.array([saturday, saturday, friday, saturday]))
    assert np.isnan(until[[0, 2, 3]]).all()
    assert until[1] == datetime(2026, 1, 3, 23, 0, tzinfo=UTC).timestamp()  # 8:00 in Tokyo


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (CAP.replace("impression", "impresion"), "did you mean 'impression'?"),
        (CAP.replace("7d", "7 days"), "must be a number and a unit, such as 90s, 15m, 12h or 30d"),
        (CAP.replace("per: action", "per: actions"), "did you mean 'action'?"),
        (CAP.replace("3", "2000"), "less than or equal to 1024"),
        (CAP.replace(", without_history: allow", ""), "'without_history' is missing"),
        (CAP.replace("name: c", "name: c, issue: sale"), "no issue 'sale'; did you mean 'sales'?"),
        (CAP.replace("name: c", "name: c, channels: [webb]"), "did you mean 'web'?"),
        (CAP.replace("name: c", "name: c, treatment: fibre_500_her"), "did you mean 'fibre_500_hero'?"),
        (CAP.replace("name: c", "name: c, treatment: fibre_500_hero"), "goes with 'per: treatment'"),
        (CAP.replace("name: c", "name: c, reserve: 8d"), "is longer than 'within'"),
        (CAP.replace("name: c", "name: c, reserved: 8m"), "did you mean 'reserve'?"),
    ],
)
def test_a_slip_in_a_cap_is_told_with_its_line(files: Files, entry: str, message: str) -> None:
    (found,) = problems(files, f"contact_policies:\n  caps:\n    - {entry}\n")
    assert found.startswith("policies.yaml:3")
    assert message in found


def test_a_pause_after_several_needs_a_window(files: Files) -> None:
    entry = "{name: p, after: 2, of: [reject], pause: 1d, per: action, without_history: allow}"
    (found,) = problems(files, f"contact_policies:\n  pauses:\n    - {entry}\n")
    assert "'within' is missing: in what time are 2 too many?" in found


def test_a_name_stands_once_among_all_contact_policies(files: Files) -> None:
    pause = "{name: c, after: 1, of: [reject], pause: 1d, per: action, without_history: allow}"
    (found,) = problems(files, f"contact_policies:\n  caps:\n    - {CAP}\n  pauses:\n    - {pause}\n")
    assert found.startswith("policies.yaml:5: contact_policies.pauses.0.name")
    assert "'c' stands already in line 3" in found


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "from: 21:00, to: '08:00', timezone: UTC",
            'must be a time of day such as "21:00", not 1260 (put it',
        ),
        ("from: '25:00', timezone: UTC", "must be a time of day"),
        ("from: '08:00', to: '08:00', timezone: UTC", "leave both out"),
        ("timezone: UTC", "is quiet all week"),
        ("days: [sat], timezone: Europe/Berln", "did you mean 'Europe/Berlin'?"),
        ("days: [saturday], timezone: UTC", "must be 'mon', 'tue'"),
        ("days: [sat], timezone: customer.segmnt, otherwise: UTC", "did you mean 'customer.segment'?"),
        ("days: [sat], timezone: customer.segment, otherwise: UTC", "'consumer' is no time zone"),
        ("days: [sat], timezone: customer.segment", "'otherwise' is missing"),
        ("days: [sat], timezone: UTC, otherwise: UTC", "'timezone' is no feature"),
    ],
)
def test_a_slip_in_quiet_hours_is_told_with_its_line(files: Files, entry: str, message: str) -> None:
    found = problems(files, f"contact_policies:\n  quiet_hours:\n    - {{name: q, {entry}}}\n")
    assert all(problem.startswith("policies.yaml:3") for problem in found)
    assert any(message in problem for problem in found), found
