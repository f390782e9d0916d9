"""A small valid workspace as text, to be spoiled in one place at a time."""

from dataclasses import dataclass
from pathlib import Path

import pytest

FILES = {
    "features.yaml": """\
features:
  age: {type: number, source: profile, default: 40, description: Age in years}
  segment: {type: category, source: profile, levels: [consumer, soho], description: Kind of customer}
  intent: {type: category, source: context, levels: [buy, cancel], description: What for}
  returning: {type: flag, source: context, description: Was here before}
  basket: {type: number, source: context, description: EUR}
""",
    "channels.yaml": """\
channels:
  web:
    direction: inbound
    description: The public site
    placements:
      home_hero: {limit: 1, description: Top of the page}
      home_tiles: {limit: 3, description: Below it}
  email:
    direction: outbound
    placements:
      newsletter: {}
outcomes:
  callback: the customer asked to be called
""",
    "models.yaml": """\
models:
  sales: {positive: [accept, convert], description: Buys}
  internet: {positive: [callback], description: Buys internet}
  fibre: {positive: [convert], description: Buys fibre, features: [age, intent]}
""",
    "actions/sales.yaml": """\
issue: sales
lever: 20
model: sales
groups:
  internet:
    lever: 10
    model: internet
    actions:
      fibre_500:
        title: Fibre 500
        start: 2026-01-01
        end: 2026-12-31
        value: 120
        lever: 25
        model: fibre
        propensity: 0.03
        treatments:
          fibre_500_hero:
            channel: web
            placements: [home_hero]
            content: {headline: Fibre at last, price: 49.9}
          fibre_500_mail:
            channel: email
      dsl_50:
        start: 2026-01-01T06:00:00+01:00
        end: 2026-02-01T00:00:00Z
        active: false
  mobile:
    actions:
      mobile_5g:
        treatments:
          mobile_5g_web: {channel: web}
""",
    "actions/service.yaml": """\
issue: service
groups:
  care:
    actions:
      check_up:
        propensity: 0.2
""",
    "policies.yaml": """\
arbitration: {value: false}
context_weights:
  - {when: {intent: cancel}, issue: sales, group: mobile, weight: -50}
  - {when: {returning: true, basket: 0}, issue: sales, weight: 100}
""",
}


@dataclass(frozen=True)
class Files:
    """The files of a workspace in a folder."""

    folder: Path

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text that stands there once."""
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A valid workspace of two issues, three groups and four actions."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return Files(tmp_path)
