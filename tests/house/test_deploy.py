import re
from pathlib import Path

import yaml


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


def test_all_that_the_image_copies_is_sent_to_the_builder(root: Path) -> None:
    ignored = (root / ".dockerignore").read_text()
    sent = set(re.findall(r"^!([\w./]+?)/?$", ignored, re.MULTILINE))
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (root / "Dockerfile").read_text(), re.MULTILINE)
    sources = {source.rstrip("/") for line in copies for source in line.split()}
    assert sources
    assert {source for source in sources if source.split("/")[0] not in sent} == set()
