import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.observability.metrics import REGISTRY


def test_the_store_of_the_compose_file_makes_outcomes_durable(root: Path) -> None:
    services = yaml.safe_load((root / "deploy" / "compose.yaml").read_text())["services"]
    command = " ".join(services["store"]["command"])
    assert "--appendonly yes" in command
    assert "--appendfsync always" in command
    assert "noeviction" in command


def test_prometheus_scrapes_the_service_that_compose_starts(root: Path) -> None:
    services = yaml.safe_load((root / "deploy" / "compose.yaml").read_text())["services"]
    [job] = yaml.safe_load((root / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
    [target] = job["static_configs"][0]["targets"]
    assert target.split(":")[0] in services


def test_no_port_is_published_beyond_the_machine(root: Path) -> None:
    services = yaml.safe_load((root / "deploy" / "compose.yaml").read_text())["services"]
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_image_runs_as_nobody_special_and_says_when_it_is_ready(root: Path) -> None:
    dockerfile = (root / "Dockerfile").read_text()
    final = dockerfile.split("\nFROM ")[-1]
    assert re.search(r"^USER (?!root|0)", final, re.MULTILINE)
    assert "HEALTHCHECK" in final
    assert "/health/ready" in final


def test_the_image_has_its_compiled_loops_where_it_may_write_them_anew(root: Path) -> None:
    """Where they can't be written they are not read either, but compiled at each start."""
    build, final = re.split(r"\nFROM ", (root / "Dockerfile").read_text())[-2:]
    made = re.findall(r"NUMBA_CACHE_DIR=(\S+)", build)
    [kept] = re.findall(r"NUMBA_CACHE_DIR=(\S+)", final)
    assert re.findall(r"^COPY --from=build --chown=arbiter:arbiter (\S+) (\S+)$", final, re.MULTILINE) == [
        (*made, kept)
    ]
    [volume] = re.findall(r"^VOLUME (\S+)$", final, re.MULTILINE)
    assert kept.startswith(f"{volume}/")


def test_all_that_the_image_copies_is_sent_to_the_builder(root: Path) -> None:
    ignored = (root / ".dockerignore").read_text()
    sent = set(re.findall(r"^!([\w./]+?)/?$", ignored, re.MULTILINE))
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (root / "Dockerfile").read_text(), re.MULTILINE)
    sources = {source.rstrip("/") for line in copies for source in line.split()}
    assert sources
    assert {source for source in sources if source.split("/")[0] not in sent} == set()


@pytest.fixture
def alerts(root: Path) -> list[dict[str, Any]]:
    """The alerting rules that Prometheus is told of."""
    prometheus = yaml.safe_load((root / "deploy" / "prometheus.yml").read_text())
    files = [yaml.safe_load((root / "deploy" / name).read_text()) for name in prometheus["rule_files"]]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def test_compose_gives_prometheus_every_file_of_rules(root: Path) -> None:
    services = yaml.safe_load((root / "deploy" / "compose.yaml").read_text())["services"]
    prometheus = yaml.safe_load((root / "deploy" / "prometheus.yml").read_text())
    for name in prometheus["rule_files"]:
        assert f"./{name}:/etc/prometheus/{name}:ro" in services["prometheus"]["volumes"]


def test_alerts_ask_for_metrics_and_labels_that_there_are(alerts: list[dict[str, Any]]) -> None:
    labels: dict[str, set[str]] = {}
    for family in REGISTRY.collect():
        collector: Any = REGISTRY._names_to_collectors[family.name]
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        labels |= {family.name + ending: set(collector._labelnames) for ending in endings}
    for rule in alerts:
        asked = re.findall(r"\barbiter_\w+", rule["expr"])
        assert asked
        assert set(asked) <= labels.keys(), rule["alert"]
        told = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        grouped = {name for by in re.findall(r"by \(([^)]*)\)", rule["expr"]) for name in by.split(", ")}
        assert grouped <= set.union(*(labels[name] for name in asked))
        assert told <= (grouped or labels[asked[0]])


def test_every_alert_leads_to_its_part_of_the_runbook(root: Path, alerts: list[dict[str, Any]]) -> None:
    guide = (root / "docs" / "operations.md").read_text()
    headings = re.findall(r"^#+ (.+)$", guide, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    names = [rule["alert"] for rule in alerts]
    assert len(names) == len(set(names)) >= 5
    for rule in alerts:
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert page == "docs/operations.md"
        assert anchor in anchors, rule["alert"]
        assert rule["alert"] in guide
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert re.fullmatch(r"\d+[mh]", rule["for"])
