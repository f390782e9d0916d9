"""All that a report says of a workspace's log."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.reporting.answers import Answers
from service.reporting.arms import Comparison, comparisons
from service.reporting.funnel import Funnel, funnel
from service.reporting.health import Health, health
from service.reporting.objectives import Progress, progress
from service.workspace.loading import Workspace


@dataclass(frozen=True)
class Report:
    """What was found in the log of a workspace, of what was decided from `since` on (epoch seconds, -inf for
    all), as it was known at `until`; and what is to be remarked on the log itself."""

    workspace: str
    since: float
    until: float
    progress: Sequence[Progress]
    funnel: Funnel
    comparisons: Sequence[Comparison]
    health: Health
    remarks: Sequence[str]


def report(answers: Answers, workspace: Workspace, remarks: Sequence[str] = ()) -> Report:
    """Find it."""
    return Report(
        workspace=workspace.folder.resolve().name,
        since=answers.since,
        until=answers.until,
        progress=progress(answers, workspace.objectives),
        funnel=funnel(answers),
        comparisons=comparisons(answers, workspace.engagement.experiments.experiments),
        health=health(answers, workspace),
        remarks=remarks,
    )
