"""The table of claims in words, and the commands that put them to the test."""

import pytest

from minima.__main__ import main
from minima.claims import listing
from minima.claims.ledger import CLAIMS
from minima.runtime.errors import UserError


def branches_of(claim_id):
    flags = listing.command(claim_id, (), anywhere=True)
    [found] = [flag for flag in flags if flag.startswith("--branches=")]
    return found.removeprefix("--branches=")


def test_every_claim_is_listed_and_told_in_full(capsys):
    assert main(["claims"]) == 0
    listed = capsys.readouterr().out
    for claim in CLAIMS:
        assert claim.id in listed
        assert main(["claims", claim.id]) == 0
        told = capsys.readouterr().out
        assert claim.tolerance_hash in told
        assert f"--claims={claim.id}" in told


@pytest.mark.parametrize(
    ("claim", "branches"),
    [
        ("keskar2017-gap", "none"),
        ("hoffer2017-updates", "updates"),
        ("smith2018-growing", "schedules"),
        ("vyas2023-online", "infinite"),
    ],
)
def test_a_claim_is_reproduced_with_the_branches_it_needs(claim, branches):
    assert branches_of(claim) == branches


def test_a_claim_about_adam_is_put_to_adam():
    flags = listing.command("marek2025-half-life", ("--seeds=4",), anywhere=True)
    assert "--optimizer=adamw" in flags
    assert "--beta2_half_life=20000" in flags
    assert flags[-1] == "--seeds=4"


def test_what_is_no_claim_or_no_checkout_is_refused(tmp_path, monkeypatch, capsys):
    with pytest.raises(UserError, match="did you mean keskar2017-gap"):
        listing.detail("keskar")
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "keskar2017-gap"]) == 2
    assert "not in the current folder; run this in a checkout" in capsys.readouterr().err


def test_reproduce_runs_the_command_it_prints(tmp_path, monkeypatch, capsys):
    called = []
    monkeypatch.setattr("subprocess.call", lambda command: called.append(command) or 3)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "batch_size_vs_learning_rate.py").touch()
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "keskar2017-gap", "--", "--seeds=5"]) == 3
    assert capsys.readouterr().out.split()[1:] == ["python", *called[0][1:]]
    assert called[0][-2:] == ["--claims=keskar2017-gap", "--seeds=5"]
