"""The model of uplift of the Hillstrom workspace, and what is said of a wrong control."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from examples.hillstrom.trial import TrialMissing, find_file, read_trial
from examples.hillstrom.uplift import uplifts
from feature_store.documents import WorkspaceError
from service.workspace.loading import load_workspace

WORKSPACE = Path("examples/hillstrom").resolve()


def test_it_knows_that_emails_move_customers() -> None:
    try:
        learn, decide = read_trial(find_file()).halves(0)
    except TrialMissing as missing:
        pytest.skip(str(missing))
    gains, manifest = uplifts(learn, decide, 0)
    assert (gains[:, 2] == 0).all()
    assert gains[:, 0].mean() > gains[:, 1].mean() > 0  # the men's e-mail moves more
    assert manifest.uplift is not None
    assert manifest.uplift.whole[1] > 0
    assert np.isfinite(manifest.uplift.curve).all()


@pytest.mark.parametrize(
    ("control", "said"),
    [
        ("no_mail", r"models.yaml:\d+: models.visit_uplift.control: .*'no_mail' is no action; did you mean"),
        ("", r"models.yaml:\d+: models.visit_uplift.control: .*'' is no action"),
    ],
)
def test_a_control_that_is_no_action_is_told(tmp_path: Path, control: str, said: str) -> None:
    draft = tmp_path / "draft"
    shutil.copytree(WORKSPACE, draft, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    models = draft / "models.yaml"
    models.write_text(models.read_text().replace("control: no_email", f'control: "{control}"'))
    with pytest.raises(WorkspaceError, match=said):
        load_workspace(draft)


def test_a_control_that_uses_the_model_itself_is_told(tmp_path: Path) -> None:
    draft = tmp_path / "draft"
    shutil.copytree(WORKSPACE, draft, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    mailing = draft / "actions" / "mailing.yaml"
    mailing.write_text(mailing.read_text().replace("model: visit", "model: visit_uplift"))
    with pytest.raises(WorkspaceError, match="'no_email' has this one"):
        load_workspace(draft)
