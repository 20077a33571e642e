"""Verdicts of a folder of runs are read back as they were written, failures first."""

import json
from pathlib import Path

import pytest

from judged import failures_first, verdict_entries
from minima import __main__ as command
from minima.claims import verdicts
from minima.claims.claim import AT_MOST, NUMBER
from minima.claims.ledger import CLAIMS
from minima.claims.seeded import Judge
from minima.runtime.errors import UserError


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """One experiment that holds one claim and fails another, and a run of the flagship."""
    judge = Judge("lesson", "a paper, figure 1", "compared in this test")
    judged = [
        judge.exact("fine", "four is at most five", (AT_MOST, 0, 5, "points"), 4),
        judge.share("bad", "half of them are hit", (NUMBER, 50, 5, "%"), 90, 100),
    ]
    _write(tmp_path / "lesson" / "run-1", verdict_entries(failures_first(judged)))
    plain = {"claim": CLAIMS[0].id, "verdict": "INCONCLUSIVE", "unit": CLAIMS[0].unit}
    plain |= {"statistic": None, "reason": "the evidence can't answer", "enough": "more seeds"}
    _write(tmp_path / "flagship" / "run-2", [plain])
    return tmp_path


def _write(folder: Path, entries: list) -> None:
    folder.mkdir(parents=True)
    (folder / "verdict.json").write_text(json.dumps({"verdicts": entries}))


def test_runs_are_found_and_failures_come_first(workdir):
    first, second = verdicts.read(workdir)
    assert (first.experiment, first.run_id) == ("flagship", "run-2")
    assert [each["verdict"] for each in second.verdicts] == ["PARTIAL", "PASS"]


def test_report_gives_numbers_with_limits_and_the_ledgers_sentence(workdir):
    text = " ".join(" ".join(verdicts.report(verdicts.read(workdir))).split())
    assert "lesson/run-1: 1 PARTIAL, 1 PASS" in text
    assert "PARTIAL bad: half of them are hit; 90 [82.38, 95.1] %; " in text
    assert f"INCONCLUSIVE {CLAIMS[0].id}: {CLAIMS[0].sentence[:20]}" in text
    assert "fine" not in text


def test_all_shows_what_passes_and_an_exact_number_has_no_limits(workdir, capsys):
    assert command.main(["verdicts", str(workdir), "--all"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "PASS fine: four is at most five; 4 points; " in text


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no verdict.json in it"), ("{}", "not the verdicts of a run"), ("[", "not the verdi")],
)
def test_what_is_no_verdict_is_one_clear_line(tmp_path, capsys, content, words):
    if content is not None:
        (tmp_path / "verdict.json").write_text(content)
    assert command.main(["verdicts", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err
    with pytest.raises(UserError, match="no such folder"):
        verdicts.read(tmp_path / "none")
