"""Outcome tokens: what was signed comes back, and nothing else does."""

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.decisioning.experiments import MOST_NAMESPACES
from service.runtime.tokens import MAX_TOKEN, Grant, InvalidToken, Signer, kept_secret, packed

NOW = 1_800_000_000.0
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
ALPHABET = BASE64 + "=+/ .\n\0é"
SIGNER = Signer(b"a secret of sixteen bytes or more")

names = st.text(max_size=40)
shares = st.floats(0, 1)
grants = st.builds(
    Grant,
    *[names] * 8,
    rank=st.integers(1, 100),
    propensity=shares,
    selection_probability=shares,
    decided_at=st.floats(0, NOW),
    expires_at=st.floats(NOW, 2 * NOW),
    dry_run=st.booleans(),
    offer=st.none() | names,
)


def grant(expires_at: float = NOW + 60, offer: str | None = None) -> Grant:
    return Grant(
        "d1", "c12", "web", "home_hero", "sales", "internet", "fibre_500", "fibre_500_hero",
        rank=1, propensity=0.083, selection_probability=1.0, decided_at=NOW, expires_at=expires_at,
        offer=offer,
    )  # fmt: skip


@given(grants)
def test_a_token_gives_back_the_grant_that_was_signed(signed: Grant) -> None:
    assert SIGNER.verify(SIGNER.sign(signed), NOW) == signed


@given(grants, st.data())
def test_a_grant_packed_in_parts_makes_the_same_token(signed: Grant, data: st.DataObject) -> None:
    fields = msgspec.structs.astuple(signed)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(fields) - 1), min_size=2)))
    parts = [fields[start:end] for start, end in pairwise([0, *cuts, len(fields)])]
    assume(all(len(part) <= 15 for part in parts))
    assert SIGNER.seal(*(packed(*part) for part in parts)) == SIGNER.sign(signed)


def test_a_token_made_before_grants_were_packed_in_parts_is_read() -> None:
    token = (
        "AdwAEaJkMaNjMTKjd2ViqWhvbWVfaGVyb6VzYWxlc6hpbnRlcm5ldKlmaWJyZV81MDCuZmlicmVfNTAwX2hlcm8Byz-1P3ztkWhz"
        "yz_wAAAAAAAAy0Ha0nSAAAAAy0Ha0nSPAAAAwqhsb3lhbF8yMIGlcHJpY2WkaGlnaKJhMZFPmHBCvxo8rZfl4kS52OE"
    )
    assert SIGNER.verify(token, NOW) == msgspec.structs.replace(
        grant(offer="loyal_20"), experiments={"price": "high"}, account="a1"
    )


@given(grants, st.data())
def test_a_token_with_any_one_character_changed_is_refused(signed: Grant, data: st.DataObject) -> None:
    token = SIGNER.sign(signed)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(ALPHABET.replace(token[place], "")))
    with pytest.raises(InvalidToken):
        SIGNER.verify(token[:place] + other + token[place + 1 :], NOW)


def test_every_character_of_a_token_counts() -> None:
    token = SIGNER.sign(grant())
    for place, right in enumerate(token):
        for other in ALPHABET.replace(right, ""):
            with pytest.raises(InvalidToken):
                SIGNER.verify(token[:place] + other + token[place + 1 :], NOW)


@given(grants, st.data())
def test_a_token_cut_short_or_made_longer_is_refused(signed: Grant, data: st.DataObject) -> None:
    token = SIGNER.sign(signed)
    length = data.draw(st.integers(0, len(token) - 1))
    longer = data.draw(st.text(ALPHABET, min_size=1, max_size=8))
    for altered in (token[:length], token + longer, longer + token):
        with pytest.raises(InvalidToken):
            SIGNER.verify(altered, NOW)


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("=")))
def test_no_text_is_taken_for_a_token_by_chance(text: str) -> None:
    with pytest.raises(InvalidToken):
        SIGNER.verify(text, NOW)


def test_a_token_of_another_secret_is_refused() -> None:
    other = Signer(b"another secret of sixteen bytes")
    with pytest.raises(InvalidToken, match="not signed by this service"):
        SIGNER.verify(other.sign(grant()), NOW)


def test_a_token_is_good_to_its_last_second_and_then_expired() -> None:
    token = SIGNER.sign(grant(expires_at=NOW + 60))
    assert SIGNER.verify(token, NOW + 60).decision_id == "d1"
    with pytest.raises(InvalidToken, match="expired"):
        SIGNER.verify(token, NOW + 60.001)


def test_the_same_bytes_in_another_base64_are_refused() -> None:
    """Otherwise one offer would have many tokens, and an outcome reported with each of them would count."""
    tokens = [SIGNER.sign(grant(offer="o" * length)) for length in range(3)]
    token = next(token for token in tokens if len(token) % 4)  # else every bit of its end says something
    twin = token[:-1] + BASE64[BASE64.index(token[-1]) + 1]  # the last bits of the last character say nothing
    padding = "=" * (-len(token) % 4)
    assert base64.urlsafe_b64decode(twin + padding) == base64.urlsafe_b64decode(token + padding)
    for form in (twin, token + padding, token + "=", f" {token}", f"{token}\n"):
        with pytest.raises(InvalidToken):
            SIGNER.verify(form, NOW)


def test_a_token_that_is_too_long_is_refused_unread() -> None:
    with pytest.raises(InvalidToken, match="not a token"):
        SIGNER.verify("A" * (MAX_TOKEN + 1), NOW)


def test_names_of_the_greatest_length_make_a_token_that_can_be_sent_back() -> None:
    """A customer_id has up to 128 characters of up to 4 bytes, the names of a workspace up to 64."""
    n = "n" * 64
    longest = Grant(
        "0" * 36, "\U0001f600" * 128, n, n, n, n, n, n, 100, 0.1, 0.1, NOW, NOW + 1,
        offer=n, experiments={f"{number:064}": n for number in range(MOST_NAMESPACES)},
    )  # fmt: skip
    token = SIGNER.sign(longest)
    assert len(token) <= MAX_TOKEN
    assert SIGNER.verify(token, NOW) == longest


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes, not 15"):
        Signer(b"x" * 15)


def test_the_kept_secret_is_private_and_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    secret = kept_secret(folder)
    assert len(secret) == 32
    assert stat.S_IMODE((folder / "token.secret").stat().st_mode) == 0o600
    assert kept_secret(folder) == secret
    assert [path.name for path in folder.iterdir()] == ["token.secret"]


def test_secrets_of_two_folders_differ(tmp_path: Path) -> None:
    assert kept_secret(tmp_path / "a") != kept_secret(tmp_path / "b")


def test_all_who_make_the_secret_at_once_get_the_same_whole_one(tmp_path: Path) -> None:
    """Threads stand for workers of containers that share the folder: those have one process id too."""
    for attempt in range(30):
        folder = tmp_path / str(attempt)
        with ThreadPoolExecutor(8) as makers:
            secrets = set(makers.map(lambda _, here=folder: kept_secret(here), range(8)))
        assert [len(secret) for secret in secrets] == [32]
        assert [path.name for path in folder.iterdir()] == ["token.secret"]
