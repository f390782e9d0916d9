"""Which stage of a request a sampled stack belongs to: that of its innermost frame which belongs to one."""

import re
from collections import Counter
from collections.abc import Iterable

STAGES: tuple[tuple[str, str], ...] = (
    ("tokens", r"service/runtime/tokens\.py"),
    ("decision log and replay records", r"journal\.py|decision_log\.py|recording\.py|records\.py"),
    ("metrics", r"service/observability/|accounting\.py|prometheus_client/"),
    ("answers as JSON", r"service/api/encoding\.py|decisioning/content\.py"),
    ("models", r"models/|decisioning/(scoring|propensity)\.py"),
    (
        "slate and exploration",
        r"decisioning/(slate\w*|contest|turns|choosing|exploration|noise|odds|draws)\.py",
    ),
    ("rules", r"decisioning/(rules/|rulebook\.py|consent\.py|treatments\.py)"),
    (
        "contact policies",
        r"decisioning/(contact|counters|counting|frequency|tally|touches|standing|headroom|quiet_hours)\.py",
    ),
    ("volume limits", r"decisioning/(volumes|periods|spending)\.py|runtime/(budgets|purses)\.py"),
    ("experiments", r"decisioning/(experiments|conduct)\.py"),
    ("arbitration", r"decisioning/(arbitration|valuation|barriers|quantities)\.py"),
    ("rest of the core", r"service/decisioning/"),
    ("store", r"feature_store/|runtime/(features|live|contacts)\.py|hiredis|redis/"),
    ("requests and batches", r"service/runtime/"),
    ("sending answers", r"service/api/server\.py"),
    ("bodies and routing", r"service/api/|service/app\.py|fastapi/|starlette/|pydantic/"),
    ("HTTP server and event loop", r"uvicorn/|uvloop|asyncio/|httptools"),
)
"""From the innermost to the outermost room: the first pattern that a frame's file matches is its stage."""

OTHER = "other"

_PATTERNS = [(name, re.compile(pattern)) for name, pattern in STAGES]
_SERVING, _STARTING = "asyncio/runners.py", "uvicorn/lifespan/"
_FILE = re.compile(r"\(([^()]*?)(?::\d+)?\)$")


def stage_of(stack: str) -> str:
    """The stage of a stack as py-spy writes it: `function (file:line);function (file:line);...`, innermost
    last."""
    for frame in reversed(stack.split(";")):
        found = _FILE.search(frame)
        for name, pattern in _PATTERNS if found else ():
            if found and pattern.search(found[1]):
                return name
    return OTHER


def shares(lines: Iterable[str]) -> dict[str, float]:
    """The share of each stage in the samples of a server at work, in the order of `STAGES`.

    Args:
        lines: `stack count`, one a line.

    Raises:
        ValueError: there is no sample of a server at work.
    """
    counts: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.strip().rpartition(" ")
        if _SERVING in stack and _STARTING not in stack:
            counts[stage_of(stack)] += int(count)
    total = sum(counts.values())
    if not total:
        raise ValueError("no sample is of a server at work")
    return {name: counts[name] / total for name, _ in (*STAGES, (OTHER, "")) if counts[name]}
