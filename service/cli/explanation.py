"""An explained decision as a person reads it: what was chosen, what lost, and what was taken out."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from rich.table import Table
from rich.text import Text

from service.cli.console import out
from service.decisioning.stages import STAGES, Stage

FEW_LOSERS, FEW_NAMES = 8, 4
"""How many losers, and how many names of actions that one rule took out, are shown where not all are asked
for."""
ARBITRATED = (Stage.ARBITRATION, Stage.SLATE)
FACTORS = (("P", "propensity"), ("C", "context_weight"), ("V", "value"), ("L", "lever"))

Candidate = Mapping[str, Any]


def show(answer: Mapping[str, Any], *, everything: bool) -> None:
    """Print a decision that was asked for with `explain: full`; with `everything` no list is cut."""
    candidates = answer["explanation"]
    by_action = {candidate["action"]: candidate for candidate in candidates}
    _heading(answer)
    for placement in answer["placements"]:
        _placement(placement, by_action)
    _losers([entry for entry in candidates if entry["stage"] in ARBITRATED], everything)
    _taken_out([entry for entry in candidates if entry["stage"] not in (None, *ARBITRATED)], everything)


def _heading(answer: Mapping[str, Any]) -> None:
    who = answer["customer_id"] or f"visitor {answer['anonymous_id']}"
    _line(f"{who} in {answer['channel']}", 0, "bold")
    catalogue = answer["versions"]["catalogue"]
    _line(f"arm {answer['arm']}, decided in {answer['timings_ms']['total']:.1f} ms, catalogue {catalogue}")
    if answer["degraded"]:
        _line(f"decided without: {', '.join(answer['degraded'])}", style="yellow")
    for warning in answer["warnings"]:
        _line(warning, style="yellow")


def _placement(placement: Mapping[str, Any], by_action: Mapping[str, Candidate]) -> None:
    nothing = placement["no_action"]
    _title(placement["id"] + (f": nothing ({nothing['reason']})" if nothing else ""))
    for offered in placement["actions"]:
        _line(f"{offered['rank']}. {offered['action']} as {offered['treatment']}", style="green")
        factors = " x ".join(f"{letter} {_number(offered[name])}" for letter, name in FACTORS)
        _line(f"{factors} = {_number(offered['priority'])}", 5)
        candidate = by_action[offered["action"]]
        if offered["selection_probability"] < 1.0:
            _line(_chance(offered, placement["id"], by_action), 5)
        if candidate["mandatory"]:
            _line("mandatory: it comes before all priorities", 5)
        if candidate["correction"] not in (None, 1.0):
            predicted, by = _number(candidate["predicted"]), _number(candidate["correction"])
            _line(f"P is {predicted} by its model, and {by} times that after the last outcomes", 5)
        if candidate["worth"]:
            _line(f"V is {_worth(candidate['worth'])}", 5)
        if offered.get("reasons"):
            _line("because: " + "; ".join(offered["reasons"]), 5)
        spoke = candidate["contributions"]
        if spoke:
            moved = (f"{_pair(entry['feature'], entry['value'])} {entry['added']:+.2f}" for entry in spoke)
            _line("moved the model: " + ", ".join(moved), 5, "dim")


def _chance(offered: Mapping[str, Any], placement: str, by_action: Mapping[str, Candidate]) -> str:
    """How likely it was, and who had the highest priority where it did not."""
    said = f"left to chance: its probability was {_number(offered['selection_probability'])}"
    best = (
        (action, draw["probability"])
        for action, candidate in by_action.items()
        for draw in candidate["draws"] or ()
        if (draw["placement"], draw["rank"], draw["best"]) == (placement, offered["rank"], True)
    )
    for action, probability in best:
        if action != offered["action"]:
            return f"{said}, and {_number(probability)} that of {action}, the best"
    return said


def _worth(worth: Mapping[str, Any]) -> str:
    """What a value is made of."""
    business, customer, raw = (_number(worth[part]) for part in ("business", "customer", "raw"))
    assumed = " (not all of it is known: a declared number stands in)" if worth["assumed"] else ""
    return f"{raw} before scaling, from {business} for the business and {customer} for the customer{assumed}"


def _losers(losers: Sequence[Candidate], everything: bool) -> None:
    if not losers:
        return
    shown = losers if everything else losers[:FEW_LOSERS]
    cut = f"; the best {FEW_LOSERS}, --all shows the others" if len(shown) < len(losers) else ""
    _title(f"Good, but not good enough ({len(losers):,}{cut})")
    table = _grid(
        ("action", "left"),
        *((letter, "right") for letter, _ in FACTORS),
        ("priority", "right"),
        ("out", "left"),
    )
    for entry in shown:
        factors = (_number(entry[name]) for _, name in FACTORS)
        table.add_row(entry["action"], *factors, _number(entry["priority"]), entry["rule"])
    out.print(table)
    _break_evens([entry for entry in shown if entry["break_even"]])


def _break_evens(losers: Sequence[Candidate]) -> None:
    """By what each of them would have won."""
    if not losers:
        return
    _line("Any one of these would have been enough, with a little more:", style="cyan")
    table = _grid(
        ("action", "left"),
        ("P", "right"),
        ("C", "right"),
        ("V", "right"),
        ("lever", "right"),
        ("to beat", "left"),
    )
    for entry in losers:
        needs = entry["break_even"]
        percent = needs["lever_percent"]
        lever = "-" if percent is None else f"{_number(percent, sign='+')} %"
        factors = (_number(needs[name]) for name in ("propensity", "context_weight", "value"))
        whom = needs["beats"] or f"{_number(needs['priority'])}, a free place"
        table.add_row(entry["action"], *factors, lever, f"{whom} in {needs['placement']}")
    out.print(table)


def _taken_out(gone: Sequence[Candidate], everything: bool) -> None:
    """By stage, in the order in which the stages spoke; what one rule has taken out for one reason stands
    together."""
    if gone:
        _title(f"Taken out before ({len(gone):,})")
    in_order = sorted(gone, key=lambda entry: STAGES.index(entry["stage"]))
    for stage, entries in groupby(in_order, key=itemgetter("stage")):
        _line(stage, style="cyan")
        table = _grid(("", "left"), ("", "left"), header=False)
        for same in _by_rule(entries):
            table.add_row(_names([entry["action"] for entry in same], everything), _why(same[0]))
        out.print(table)


def _by_rule(entries: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    groups: dict[tuple[str, ...], list[Candidate]] = {}
    for entry in entries:
        groups.setdefault((entry["rule"], entry["source"], str(entry["cap"])), []).append(entry)
    yield from groups.values()


def _names(actions: Sequence[str], everything: bool) -> Text:
    if everything or len(actions) <= FEW_NAMES:
        return Text("\n".join(actions))
    return Text("\n".join([*actions[: FEW_NAMES - 1], f"and {len(actions) - FEW_NAMES + 1} more"]))


def _why(entry: Candidate) -> Text:
    """The rule, what it says, and what it saw."""
    said = [f"{entry['rule']}: {entry['meaning']}"]
    if entry["source"]:
        said.append(" ".join(entry["source"].split()))
    if entry["observed"]:
        said.append("saw " + ", ".join(_pair(*pair) for pair in entry["observed"].items()))
    if entry["cap"]:
        said.append(_cap(entry["cap"]))
    return Text("\n".join(said))


def _cap(cap: Candidate) -> str:
    """What a contact policy has counted, and until when it holds."""
    free = f"free at {cap['next_free']}" if cap["next_free"] else "not known when it is free"
    if cap["within"] == "campaign" and cap["count"] is not None and not cap["next_free"]:
        free = "the campaign has no more"
    if cap["at_most"] is None:
        return free
    count = "an unknown number" if cap["count"] is None else cap["count"]
    return f"counted {count}, of {cap['at_most']} at most; {free}"


def _pair(name: str, value: object) -> str:
    """A feature and its value; a member of a set is there or not."""
    if "=" in name and isinstance(value, bool):
        return name if value else name.replace("=", "!=", 1)
    return f"{name}={_value(value)}"


def _value(value: object) -> str:
    match value:
        case None:
            return "missing"
        case bool():
            return str(value).lower()
        case float():
            return _number(value)
        case list():
            return f"[{', '.join(map(str, value))}]"
        case _:
            return str(value)


def _number(value: float | None, sign: str = "-") -> str:
    """With four digits that count; a `sign` of "+" shows that of positive numbers, too."""
    return "-" if value is None else f"{value:{sign},.4g}"


def _title(text: str) -> None:
    out.print()
    _line(text, 0, "bold")


def _line(text: str, indent: int = 2, style: str = "") -> None:
    """A paragraph that wraps within its indent."""
    for line in textwrap.wrap(text, max(out.width - indent, 20), break_on_hyphens=False):
        out.print(" " * indent + line, style=style)


def _grid(*columns: tuple[str, Any], header: bool = True) -> Table:
    table = Table(box=None, show_header=header, header_style="dim", padding=(0, 0, 0, 2))
    for name, justify in columns:
        table.add_column(name, justify=justify, overflow="fold")
    return table
