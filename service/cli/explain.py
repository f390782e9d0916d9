"""`arbiter explain`: why a customer gets what they get, asked of the running service."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from feature_store.keys import ANONYMOUS_PREFIX
from service.cli.console import fail, out
from service.cli.errors import explained
from service.cli.explanation import show
from service.cli.serve import base_url
from service.settings import Settings

DEADLINE_MS = 5_000
"""For the decision: who asks why wants all of it, not what is known after 50 ms."""
PATIENCE = 30.0
"""Seconds until the service counts as away."""


def explain(
    customer_id: Annotated[
        str,
        typer.Argument(help=f"The customer; `{ANONYMOUS_PREFIX}ID` is a visitor.", show_default=False),
    ],
    channel: Annotated[str, typer.Option("--channel", help="Where the customer is met.")],
    placement: Annotated[
        list[str] | None,
        typer.Option("--placement", help="Only this placement; may be given again.", show_default="all"),
    ] = None,
    context: Annotated[
        list[str] | None,
        typer.Option("--context", help="A feature of the context, as NAME=VALUE.", show_default=False),
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", help="The account to decide for.", show_default=False)
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", help="The service.", show_default="ARBITER_HOST and ARBITER_PORT"),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Name every action; no lists are cut.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The service's answer as it is.")] = False,
) -> None:
    """Show what would be decided for a customer now, and why: what was chosen, what lost and what it lacked,
    what was taken out and by which rule. The priority is P x C x V x L: propensity, context weight, value and
    lever. It is a dry run: nothing is counted."""
    with explained():
        question = _question(customer_id, channel, placement or (), context or (), account)
        answer = _ask(_address(url or base_url(Settings())), question)
    if as_json:
        out.print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        show(answer, everything=everything)


def _question(
    customer_id: str,
    channel: str,
    placements: Sequence[str],
    context: Sequence[str],
    account: str | None,
) -> dict[str, Any]:
    visitor = customer_id.removeprefix(ANONYMOUS_PREFIX)
    question: dict[str, Any] = {
        "customer_id" if visitor == customer_id else "anonymous_id": visitor,
        "channel": channel,
        "context": dict(_named_value(given) for given in context),
        "explain": "full",
        "dry_run": True,
        "deadline_ms": DEADLINE_MS,
    }
    if placements:
        question["placements"] = [{"id": placement} for placement in placements]
    if account is not None:
        question["account_id"] = account
    return question


def _named_value(given: str) -> tuple[str, object]:
    """NAME=VALUE; a value that is JSON is taken as such, everything else as a text."""
    name, equals, value = given.partition("=")
    if not (name and equals):
        fail(f"--context {given}: must be NAME=VALUE, such as page=home")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _address(url: str) -> str:
    return (url if "://" in url else f"http://{url}").rstrip("/")


def _ask(address: str, question: dict[str, Any]) -> dict[str, Any]:
    """The decision, or the end of the command with what is wrong."""
    try:
        with _opener(address).open(_posted(address, question), timeout=PATIENCE) as answered:
            answer = json.load(answered)
    except urllib.error.HTTPError as error:
        with error:
            fail(_refusal(address, error))
    except (OSError, ValueError) as error:  # a ValueError: an address that is none, or the answer of others
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        fail(f"no service answers at {address}: {reason}\nStart one with `arbiter run`, or say where: --url")
    if not (isinstance(answer, dict) and "explanation" in answer):
        fail(f"{address} is not this service; say where it is: --url")
    return answer


def _posted(address: str, question: dict[str, Any]) -> urllib.request.Request:
    body, headers = json.dumps(question).encode(), {"content-type": "application/json"}
    return urllib.request.Request(f"{address}/v1/decisions", body, headers)  # noqa: S310 - the user's own


def _opener(address: str) -> urllib.request.OpenerDirector:
    """A proxy can't reach this machine."""
    here = urllib.parse.urlsplit(address).hostname in ("127.0.0.1", "::1", "localhost")
    proxies = [urllib.request.ProxyHandler({})] if here else []
    return urllib.request.build_opener(*proxies)


def _refusal(address: str, error: urllib.error.HTTPError) -> str:
    """What the service has to say against the question, fault by fault."""
    try:
        problem = json.load(error)
        faults = [f"  {fault['path']} {fault['message']}" for fault in problem["errors"]]
        return "\n".join([f"{address}: {problem['detail']}", *(faults if len(faults) > 1 else ())])
    except (ValueError, KeyError, TypeError):
        return f"{address} answers {error.code} {error.reason}: is it this service? Say where it is: --url"
