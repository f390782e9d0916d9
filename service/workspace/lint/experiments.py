"""Experiments that are over, and arms that withhold nothing."""

from collections.abc import Iterator

from feature_store.documents import Problem
from feature_store.feature import iso_timestamp
from service.workspace.experiments import load_experiments
from service.workspace.lint.subject import Subject, warning


def idle(subject: Subject) -> Iterator[Problem]:
    """Experiments that have ended, and control groups of what nobody is offered anyway."""
    file = load_experiments(subject.workspace.folder)
    offered = subject.live & subject.catalogue.channel_actions.any(axis=0)
    found = {
        experiment.name: experiment for experiment in subject.workspace.engagement.experiments.experiments
    }
    for name, entry in file.experiments.items():
        loc = ("experiments", name)
        if entry.ends_at <= subject.now:
            message = f"is over since {iso_timestamp(entry.ends_at)}: everybody is decided for as usual"
            yield warning((file.document, (*loc, "end")), message)
            continue
        for arm in found[name].arms:
            if arm.withheld is not None and not (arm.withheld & offered).any():
                message = "withholds nothing: none of these actions is to be had"
                yield warning((file.document, (*loc, "arms", arm.name, "withhold")), message)
