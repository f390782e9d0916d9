"""The reference pages, written from the code that they describe.

`python -m service.cli.reference docs/reference` writes them.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.metrics import MetricWrapperBase
from typer.main import get_command

from service.cli.main import app
from service.decisioning.offers import REMOVALS as OFFER_REMOVALS
from service.decisioning.stages import (
    BUILT_IN_REMOVALS,
    NO_ACTION,
    NO_ACTION_BY_RULE,
    NO_ACTION_MEANINGS,
    STAGES,
)
from service.observability import metrics
from service.runtime.bringing import EVENTS_TIMEOUT, EVENTS_UNAVAILABLE
from service.runtime.decision import (
    FEATURES_INCOMPLETE,
    FEATURES_TIMEOUT,
    FEATURES_UNAVAILABLE,
    SCORING_DEADLINE,
)
from service.runtime.offers import OFFERS_UNAVAILABLE
from service.runtime.reservations import CONTACT_RESERVATION
from service.settings import Settings
from service.workspace.catalogue import STANDARD_OUTCOMES

COMMAND = "python -m service.cli.reference docs/reference"

DEGRADED: Mapping[str, str] = {
    CONTACT_RESERVATION: "a contact could not be reserved in time: decided without the actions whose caps "
    "need it",
    EVENTS_TIMEOUT: "the events of the request were not applied in time: decided without them, and they "
    "count as soon as the store has them",
    EVENTS_UNAVAILABLE: "the store is away, so the events of the request were not applied: send them again",
    FEATURES_INCOMPLETE: "something is stored of the customer that could not be read: its node is away, "
    "or it was written under a schema that nobody knows any more",
    FEATURES_TIMEOUT: "the store had not answered by the deadline: decided on the context and the defaults",
    FEATURES_UNAVAILABLE: "the store is away or refused: decided on the context and the defaults",
    OFFERS_UNAVAILABLE: "the offers that the customer was made could not be read, or a new one could not be "
    "kept: what is offered here may differ from what another channel offers",
    SCORING_DEADLINE: "the deadline had passed before scoring: the declared propensities stand in for the "
    "models, and the base rate of the model where none is declared",
}

PROBLEMS: Sequence[tuple[int, str, str]] = (
    (400, "not-json", "the body is not JSON"),
    (400, "not-zip", "the body is no ZIP archive, or one with more in it than a workspace may have"),
    (404, "not-found", "no such path"),
    (404, "unknown-customer", "nothing is stored of the customer"),
    (405, "method-not-allowed", "the path exists, but not with that method"),
    (413, "body-too-large", "the body is larger than `ARBITER_MAX_BODY_BYTES`"),
    (415, "unsupported-media-type", "the `content-type` says something else than JSON"),
    (
        422,
        "invalid-workspace",
        "a reload met a workspace or a model that can't be used; `errors` has every problem",
    ),
    (422, "invalid-body", "the body is JSON, but not all of it can be used; `errors` has every fault"),
    (500, "internal-error", "a fault of the service; its log has the reason"),
    (503, "not-ready", "the workspace and its models are not loaded yet, or the service is stopping"),
    (503, "overloaded", "`ARBITER_MAX_WAITING` requests are waiting; `Retry-After` says when to come back"),
    (503, "store-unavailable", "a read or write of the store failed; nothing was acknowledged"),
)


def settings_table() -> str:
    """Every setting with its default and what it means."""
    rows = [
        (f"`ARBITER_{name.upper()}`", _default(field.default), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return _table(("variable", "default", "meaning"), rows)


def metrics_table() -> str:
    """Every metric by the name that a scrape shows, with its type, labels and meaning."""
    found = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    rows = []
    for metric in found:
        (family,) = metric.describe()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in metric._labelnames) or "-"
        rows.append((f"`{name}`", family.type, labels, family.documentation))
    return _table(("metric", "type", "labels", "meaning"), rows)


def commands() -> str:
    """Every command with its arguments and options."""
    listed: Mapping[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    return "\n\n".join(_command(name, command) for name, command in listed.items())


def stages_table() -> str:
    """The stages in their order, and what a placement says that stays empty because of each."""
    rows = [
        (str(number), f"`{stage}`", f"`{NO_ACTION[stage].reason}`", NO_ACTION_MEANINGS[stage])
        for number, stage in enumerate(STAGES, start=1)
    ]
    return _table(("", "stage", "`no_action.reason`", "meaning"), rows)


def no_actions_table() -> str:
    """What a placement says that stays empty because of a rule of its own."""
    return _table(
        ("`no_action.reason`", "meaning"),
        [(f"`{reason}`", text) for reason, text in NO_ACTION_BY_RULE.items()],
    )


def removals_table() -> str:
    """The rules that take an action out, by stage."""
    removals = sorted(
        [*BUILT_IN_REMOVALS.values(), *OFFER_REMOVALS], key=lambda removal: STAGES.index(removal.stage)
    )
    rows = [(f"`{removal.stage}`", f"`{removal.rule}`", removal.meaning) for removal in removals]
    return _table(("stage", "rule", "meaning"), rows)


def degraded_table() -> str:
    """What `degraded` of a decision can hold."""
    return _table(("code", "meaning"), [(f"`{code}`", meaning) for code, meaning in DEGRADED.items()])


def problems_table() -> str:
    """The types of problem documents."""
    rows = [(str(status), f"`urn:arbiter:problem:{kind}`", meaning) for status, kind, meaning in PROBLEMS]
    return _table(("status", "type", "meaning"), rows)


def outcomes_table() -> str:
    """The outcomes that every workspace has."""
    return _table(("outcome", "meaning"), [(f"`{name}`", text) for name, text in STANDARD_OUTCOMES.items()])


def settings_page() -> str:
    return f"""# Settings

Each is an environment variable. A command's option for the same thing wins over the variable. What a business
decides is not here but in the [workspace](../workspace.md).

{settings_table()}
"""


def metrics_page() -> str:
    return f"""# Metrics

`GET /metrics` answers in Prometheus's text format, added up over all workers of the service. A histogram
shows as `_bucket`, `_sum` and `_count`. Times are in seconds. No label holds the id of a customer or of a
decision. A dry run counts as an HTTP request and as nothing else.

{metrics_table()}
"""


def commands_page() -> str:
    return f"""# Commands

`arbiter --help` lists them, `arbiter COMMAND --help` describes one. Exit status 1 says that something has to
be mended, and the output says what. In a checkout the command is `.venv/bin/arbiter`; `make run` sets it up.

{commands()}
"""


def reason_codes_page() -> str:
    return f"""# Reason codes

Words that programs may rely on: they are stable, and the sentences beside them are not.

## Stages
Every action of the catalogue passes the stages in this order, and the first that takes it out is its reason.
A placement that stays empty says `no_action: {{reason, stage}}`: the furthest stage that one of its actions
reached.

{stages_table()}

Some rules have a reason of their own:

{no_actions_table()}

## Rules
What `"explain": "full"` names as the `rule` of an action that was not chosen, beside the rules and the
purposes of consent that the [workspace](../policies.md#who-may-get-what) declares; `owned_products` is the
name of every rule that `owns` makes.

{removals_table()}

## Modes and degraded
`mode` of a decision is `full`, or `degraded` if it was made without some input; then `degraded` says which.
It is `fallback` where there is nothing in the answer but actions that the catalogue calls fallbacks, whatever
else was missing.

{degraded_table()}

## Problems
Every error is `application/problem+json` (RFC 9457) with `type`, `title`, `status`, `detail` and `errors`.

{problems_table()}
"""


def outcomes_page() -> str:
    return f"""# Outcomes

What can be reported of an offered action with `POST /v1/outcomes`. A workspace declares more of them under
`outcomes` in its `channels.yaml`. `models.yaml` says for each model which ones are the response it predicts.

{outcomes_table()}
"""


PAGES: Mapping[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "metrics.md": metrics_page,
    "cli.md": commands_page,
    "reason-codes.md": reason_codes_page,
    "outcomes.md": outcomes_page,
}


def write_pages(folder: Path) -> None:
    """Write every reference page into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


def _command(name: str, command: Any) -> str:
    """One command: usage, what it does, and its parameters."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join([f"arbiter {name}", *map(_placeholder, arguments), *(["[OPTIONS]"] if options else [])])
    rows = [(f"`{_argument(p)}`", _parameter_default(p), _one_line(p.help)) for p in arguments]
    rows += [(f"`{p.opts[0]}`", _parameter_default(p), _one_line(p.help)) for p in options]
    parts = [f"## arbiter {name}", f"`{usage}`", _one_line(command.help)]
    return "\n\n".join([*parts, _table(("", "default", "meaning"), rows)] if rows else parts)


def _argument(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _placeholder(parameter: Any) -> str:
    return _argument(parameter) if parameter.required else f"[{_argument(parameter)}]"


def _parameter_default(parameter: Any) -> str:
    """What is said of the default where something is, or the default itself."""
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    return "required" if parameter.required else _default(parameter.default)


def _default(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{value}`"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {COMMAND}")
    write_pages(Path(sys.argv[1]))
