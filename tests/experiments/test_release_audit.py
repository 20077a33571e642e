"""The release audit as a user runs it, its systems, and verdicts on planted outcomes."""

import csv
import json
from functools import partial

import numpy as np
import pytest

from minima.claims.claim import FAIL, PASS
from minima.evaluation.audit import BLOCKED, SIGN_OFF, audit
from minima.evaluation.calibration import debiased_ece
from minima.runtime.errors import UserError
from minima.sweep.config import RecordConfig, TaskConfig
from parts.release_audit.claims import FIVE, _operating
from parts.release_audit.config import CaseConfig, ReleaseAuditConfig
from parts.release_audit.operating import Operating
from parts.release_audit.systems import FAULTS, GRADED, System, sigmoid

FILES = ("verdict.json", "mends.csv", "silence.csv", "faults.csv", "sizes.csv")


@pytest.fixture(scope="module")
def release(python, script):
    return partial(python, script.parent / "release_audit.py", timeout=550)


@pytest.fixture(scope="module")
def smoke(release, run_path, tmp_path_factory):
    """The smoke preset, run once: what it printed, where it ran, and the run."""
    cwd = tmp_path_factory.mktemp("release")
    result = release("--preset=smoke", cwd=cwd)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout, cwd, run_path(result.stdout, cwd)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_the_renter_model_is_blocked_for_the_right_reasons_and_mended_it_passes(smoke):
    _, _, run = smoke
    found = {row["state"]: row for row in rows(run / "mends.csv")}
    built, mended = found["as built"], found["recalibrated"]
    for question in ("coverage", "shortcuts", "groups", "confidence", "verdict"):
        assert built[question].lower() == "blocked 2/2"
    assert found["with whole files"]["confidence"] == "blocked 2/2"
    assert mended["verdict"] == "SIGN OFF 2/2"
    said = json.loads((run / "verdict.json").read_text())["verdicts"]
    wanted = [v for v in said if v["claim"].startswith(("blocked-", "mended-", "silence"))]
    assert len(wanted) == 10
    assert {v["verdict"] for v in wanted} == {PASS}


@pytest.mark.slow
def test_reports_and_figures_are_written(smoke):
    out, _, run = smoke
    for folder, verdict in (("as_built", BLOCKED), ("mended", SIGN_OFF)):
        for name in ("audit.html", "audit.md"):
            text = (run / folder / name).read_text()
            assert f"Release audit: {verdict}" in text or f">{verdict}</strong></h1>" in text
            assert "data:image/png" in text
    for name in ("mends", "operating", "claims"):
        assert (run / "figures" / f"{name}.png").stat().st_size > 1000
    assert "verdicts, failures first" in out


@pytest.mark.slow
def test_silence_is_never_a_pass(smoke):
    _, _, run = smoke
    found = rows(run / "silence.csv")
    assert len(found) == 15
    assert {row["verdict"] for row in found} == {"NOT ANSWERABLE"}


@pytest.mark.slow
def test_the_same_command_changes_nothing(smoke, release):
    out, cwd, run = smoke
    before = {name: (run / name).read_bytes() for name in FILES}
    again = release(f"--flagfile={run / 'run.flags'}", cwd=cwd)
    assert (again.returncode, again.stdout) == (0, out)
    assert {name: (run / name).read_bytes() for name in FILES} == before


# --- systems, and verdicts on planted outcomes -------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_planted_fault_is_blocked_by_its_question(fault):
    system = System(5, 8000)
    fault.plant(system)
    assert audit(system.evidence()).answer(fault.question) == BLOCKED


def test_a_graded_fault_is_as_large_as_it_says():
    shift, dependence, gap, confidence = GRADED
    system = System(0, 200_000)
    shift.plant(system, 0.2)
    there, here = np.sort(system.deployed["income"]), np.sort(system.income)
    at = np.linspace(-3, 3, 601)
    apart = np.searchsorted(here, at) / len(here) - np.searchsorted(there, at) / len(there)
    assert np.abs(apart).max() == pytest.approx(0.2, abs=0.03)

    system = System(0, 200_000)
    dependence.plant(system, 0.1)
    right = (system.logit > 0) == system.labels
    with_it = system.ruler == system.labels
    assert right[with_it].mean() - right[~with_it].mean() == pytest.approx(0.1, abs=0.01)

    system = System(0, 200_000)
    gap.plant(system, 0.1)
    negative = system.labels == 0
    selected, of = system.logit[negative] > 0, system.race[negative] == "a"
    assert selected[of].mean() - selected[~of].mean() == pytest.approx(0.1, abs=0.01)

    system = System(0, 200_000)
    confidence.plant(system, 0.05)
    error = debiased_ece(sigmoid(system.logit), system.labels)
    assert error == pytest.approx(0.05, abs=0.006)


@pytest.mark.parametrize(("missed", "unsigned", "expected"), [(0, 0, PASS), (3, 60, FAIL)])
def test_verdicts_on_the_audit_itself(missed, unsigned, expected):
    from minima.claims.seeded import Judge

    faults = {fault.name: (10 - missed, 10) for fault in FAULTS}
    clean = {SIGN_OFF: 200 - unsigned, BLOCKED: unsigned}
    judged = _operating(Judge("x", "x", "x"), Operating(clean, faults, {}))
    assert {verdict.verdict for _, verdict in judged} == {expected}
    assert FIVE[2] == 5


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"task": TaskConfig(dataset="mnist1d")}, "--dataset=mnist1d: the case is that of leases"),
        ({"case": CaseConfig(seeds=(3,))}, "--seeds=3,: intervals need 2 or more"),
        ({"record": RecordConfig(snapshots=0)}, "--snapshots=0: what models predict"),
        (
            {"task": TaskConfig(dataset="leases", validation_fraction=0.0)},
            "--validation_fraction=0: confidence is mended on it",
        ),
    ],
)
def test_bad_input_is_one_line(changes, says):
    with pytest.raises(UserError) as raised:
        ReleaseAuditConfig(**changes)
    assert says in str(raised.value)
