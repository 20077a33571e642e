"""The rescue as a user runs it: its smoke preset, and what it wrote recomputed from results.csv."""

import csv
import json
import math
import statistics
from functools import partial

import pytest
from scipy import stats

from minima.claims.claim import FAIL, PARTIAL, PASS
from minima.runtime.errors import UserError
from minima.sweep.budgets import parse_budget
from minima.sweep.step_memory import StepMemory
from parts.batch_size_rescue.claims import judge_memory
from parts.batch_size_rescue.config import PRESETS, MemoryConfig, PatientsConfig, RescueConfig
from parts.batch_size_rescue.patients import patients

pytestmark = pytest.mark.slow

LARGE, SMALL = PRESETS["smoke"]["large_batch"], PRESETS["smoke"]["small_batch"]
FILES = ("verdict.json", "memory.csv", "results.csv", "cells.jsonl", "run.flags")
RESCUES = ("batch ÷ k", "batch, rate ÷ k", "batch ÷ k, rate ÷ √k")


@pytest.fixture(scope="module")
def rescue(python, script):
    return partial(python, script.parent / "batch_size_rescue.py")


@pytest.fixture(scope="module")
def smoke(rescue, run_path, tmp_path_factory):
    """The smoke preset, run once: what it printed, where it ran, the run and its verdict."""
    cwd = tmp_path_factory.mktemp("rescue")
    result = rescue("--preset=smoke", cwd=cwd)
    assert (result.returncode, result.stderr.count("rror")) == (0, 0)
    run = run_path(result.stdout, cwd)
    return result.stdout, cwd, run, json.loads((run / "verdict.json").read_text())


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def seeds_of(run, arm):
    """The rows of an arm's cells."""
    return [
        row
        for row in rows(run / "results.csv")
        if int(row["batch_size"]) == arm["batch_size"]
        and math.isclose(float(row["learning_rate"]), arm["learning_rate"], rel_tol=1e-5)
    ]


def accuracies(run, arm):
    """Test accuracy by seed in %, guessing for a failed one."""
    failed = ("diverged", "collapsed")
    return [
        10.0 if row["status"] in failed else 100 * float(row["test_accuracy"])
        for row in seeds_of(run, arm)
    ]


def arms_of(verdict):
    return [(name, arm) for name, arms in verdict["patients"].items() for arm in arms]


# --- what a finished run says ----------------------------------------------------------------


def test_one_plane_holds_all_arms(smoke):
    run, verdict = smoke[2:]
    assert [len(seeds_of(run, arm)) for _, arm in arms_of(verdict)] == [5] * 12
    sick = [arms[0] for arms in verdict["patients"].values()]
    assert [arm["batch_size"] for arm in sick] == [LARGE, LARGE]
    cells = {(arm["batch_size"], arm["learning_rate"]) for _, arm in arms_of(verdict)}
    assert {size for size, _ in cells} == {SMALL, LARGE}
    assert json.loads((run / "run.json").read_text())["compilations"] == 1


def test_failures_and_their_limits(smoke):
    for _, arm in arms_of(smoke[3]):
        failed = sum(row["status"] != "complete" for row in seeds_of(smoke[2], arm))
        assert arm["failed"] == failed
        limits = stats.binomtest(failed, 5).proportion_ci(method="exact")
        found = arm["failed_percent"]
        assert [found["low"], found["high"]] == pytest.approx([100 * x for x in limits])
    assert smoke[3]["patients"]["unstable"][0]["failed"] == 5


def test_accuracies_and_differences(smoke):
    run, verdict = smoke[2:]
    for arms in verdict["patients"].values():
        before = accuracies(run, arms[0])
        for arm in arms:
            own = accuracies(run, arm)
            assert arm["test_accuracy"]["estimate"] == pytest.approx(statistics.mean(own))
            gains = [a - b for a, b in zip(own, before, strict=True)]
            found = arm["less_the_sick_run"]
            assert found["estimate"] == pytest.approx(statistics.mean(gains))
            # Degrees of freedom gained from the examples may shorten it, but not by half.
            half = stats.t.isf(0.025, 4) * statistics.stdev(gains) / math.sqrt(5)
            assert found["high"] - found["low"] >= half


def test_batch_and_rate_add_up(smoke):
    run, verdict = smoke[2:]
    sick, batch, both, _, rate, _ = map(
        statistics.mean, (accuracies(run, arm) for arm in verdict["patients"]["unstable"])
    )
    split = verdict["batch_and_rate"]
    first = split["orders"]["rate then batch"]
    assert split["raw_gap"]["estimate"] == pytest.approx(both - sick)
    assert first["rate"]["estimate"] == pytest.approx(rate - sick)
    assert first["batch"]["estimate"] == pytest.approx(both - rate)
    assert split["orders"]["batch then rate"]["batch"]["estimate"] == pytest.approx(batch - sick)


def test_verdicts_follow_from_the_numbers(smoke):
    by_id = {entry["claim"]: entry for entry in smoke[3]["verdicts"]}
    assert len(by_id) == len(smoke[3]["verdicts"]) == 18
    for name, arm in arms_of(smoke[3]):
        if arm["name"] == "sick run":
            continue
        found, low, high = (
            by_id[f"{name}: {arm['name']}"],
            *(arm["less_the_sick_run"][end] for end in ("low", "high")),
        )
        assert [found["statistic"]["low"], found["statistic"]["high"]] == [low, high]
        if arm["failed_percent"]["low"] > 10 or high < 1:
            assert found["verdict"] == FAIL or low < -1 < 0 < high
        elif low > 0:
            assert found["verdict"] == (PASS if low > 1 else PARTIAL)
        else:
            assert found["verdict"] not in (PASS, PARTIAL)
        assert len(found["tolerance_hash"]) == 64


def test_a_batch_divided_alone_does_not_save_the_unstable_patient_but_a_rate_does(smoke):
    by_id = {entry["claim"]: entry["verdict"] for entry in smoke[3]["verdicts"]}
    assert by_id["unstable: is it"] == PASS
    assert by_id["unstable: batch ÷ k"] == FAIL
    assert by_id["unstable: rate ÷ k"] == PASS
    assert by_id["undertrained: batch ÷ k"] == PASS


def test_failures_are_printed_first_and_files_named(smoke, visible):
    out, cwd, run, _ = smoke
    assert visible(out)
    tail = out[out.index("verdicts, failures first") :]
    lines = [
        line.split()[0]
        for line in tail.splitlines()
        if line[:4] in ("FAIL", "PART", "INCO", "PASS")
    ]
    order = ["FAIL", "PARTIAL", "INCONCLUSIVE", "PASS"]
    assert lines == sorted(lines, key=order.index)
    assert len(lines) == 18
    for name in ("verdict.json", "memory.csv", "figures/rescue.png", "figures/memory.png"):
        assert f"{run.relative_to(cwd) / name}\n" in tail
    for figure in ("rescue.png", "memory.png"):
        data = (run / "figures" / figure).read_bytes()
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        assert len(data) > 10_000


def test_the_same_command_changes_nothing(smoke, rescue):
    out, cwd, run, _ = smoke
    before = {name: (run / name).read_bytes() for name in FILES}
    again = rescue(f"--flagfile={run / 'run.flags'}", cwd=cwd)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == out
    assert {name: (run / name).read_bytes() for name in FILES} == before


# --- memory ----------------------------------------------------------------------------------


def test_memory_slopes(smoke):
    steps = rows(smoke[2] / "memory.csv")
    whole = [row for row in steps if row["way"] == "whole"]
    pieces = [row for row in steps if row["way"] == "accumulated"]
    sizes = [int(row["batch_size"]) for row in whole]
    assert sizes == [int(row["batch_size"]) for row in pieces] == [16, 64, 256]
    for row in steps:
        parts = (int(row[name]) for name in ("temporary", "arguments", "outputs"))
        assert int(row["total"]) == sum(parts)
    a, b, c = (int(row["total"]) for row in whole)
    cost = (b - a) / (sizes[1] - sizes[0]), (c - b) / (sizes[2] - sizes[1])
    # Between the middles of two steps in batch size, a factor 4 apart.
    exponent = 1 + math.log(cost[1] / cost[0]) / math.log(4)
    [found] = [e for e in smoke[3]["verdicts"] if e["claim"] == "memory: whole batch"]
    assert found["statistic"]["estimate"] == pytest.approx(exponent)
    assert found["verdict"] == PASS
    assert len({row["total"] for row in pieces}) == 1


def memory_of(*totals):
    fixed = {"arguments": 0, "outputs": 0, "microbatch": 16}
    return [
        StepMemory(temporary=total, batch_size=16 * 2**k, **fixed) for k, total in enumerate(totals)
    ]


@pytest.mark.parametrize(
    ("whole", "pieces", "verdicts"),
    [
        ((116, 132, 164, 228), (100, 100, 100, 100), [PASS, PASS]),
        ((116, 164, 356, 1124), (100, 100, 100, 100), [FAIL, PASS]),
        ((100, 100, 100, 100), (116, 132, 164, 228), [FAIL, FAIL]),
    ],
    ids=["as claimed", "quadratic", "the other way round"],
)
def test_memory_verdicts(whole, pieces, verdicts):
    judged = judge_memory(memory_of(*whole), memory_of(*pieces))
    found = [verdict.verdict for _, verdict in judged]
    assert [v.replace(PARTIAL, FAIL) for v in found] == verdicts


# --- before anything is trained --------------------------------------------------------------


def test_treatments_are_cells_of_the_plane():
    config = RescueConfig(PatientsConfig(large_batch=96, small_batch=8, unstable_rate=0.7))
    grid = config.sweep().grid
    assert grid.batch_sizes == (8, 96)
    assert list(grid.learning_rates) == sorted(set(grid.learning_rates))
    for patient in patients(config.patients):
        assert patient.best in patient.treatments
        for arm in patient.arms:
            assert arm.rate in grid.learning_rates
        ratios = [patient.sick.rate / arm.rate for arm in patient.treatments]
        assert ratios == pytest.approx([1, 12, math.sqrt(12)], rel=1e-5)


def test_defaults_share_cells_between_patients():
    assert len(RescueConfig().sweep().grid.learning_rates) == 5


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--small_batch=64", "--large_batch=64"], "--large_batch"),
        (["--budget=100steps"], "--budget"),
        (["--budget=3epochs,early_stopping=2"], "--budget"),
        (["--learning_rate_scaling=linear"], "--learning_rate_scaling"),
        (["--snapshots=0"], "--snapshots"),
        (["--memory_batch_sizes=16,32"], "--memory_batch_sizes"),
        (["--unstable_rate=0"], "--unstable_rate"),
        (["--batch_sizes=16"], "unknown flag"),
    ],
)
def test_what_cannot_be_compared_is_refused(rescue, one_line, tmp_path, flags, says):
    result = rescue(*flags, cwd=tmp_path, timeout=30)
    assert result.returncode == 2
    assert says in one_line(result.stderr)
    assert not list(tmp_path.iterdir())


def test_target_budgets_are_refused():
    training = RescueConfig().training
    budget = parse_budget("9epochs,train_loss<=0.1")
    with pytest.raises(UserError, match="after the same examples"):
        RescueConfig(training=type(training)(budget=budget))
    with pytest.raises(UserError, match="3 or more"):
        RescueConfig(memory=MemoryConfig((16,)))


@pytest.mark.parametrize("preset", ["smoke", "laptop"])
def test_plan_only_writes_nothing(rescue, tmp_path, preset):
    result = rescue(f"--preset={preset}", "--plan_only", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1].startswith("run: runs/batch_size_rescue/")
    assert result.stdout.count("\npatient    ") == 2
    assert not list(tmp_path.iterdir())


def test_help_does_not_wait_for_jax(python, script, tmp_path):
    result = python(
        "-X", "importtime", script.parent / "batch_size_rescue.py", "--help", cwd=tmp_path
    )
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "parts.batch_size_rescue.config" in imported
    assert not imported & {"jax", "matplotlib", "orbax", "xarray", "scipy"}
    assert "--unstable_rate=3.2" in result.stdout
    assert "--batch_sizes=" not in result.stdout


def test_one_seed_says_that_it_needs_more(rescue, run_path, tmp_path):
    flags = ("--preset=smoke", "--seeds=1", "--budget=1epochs", "--memory_batch_sizes=1,2,3")
    result = rescue(*flags, cwd=tmp_path)
    assert result.returncode == 0
    verdict = json.loads((run_path(result.stdout, tmp_path) / "verdict.json").read_text())
    assert verdict["batch_and_rate"] is None
    assert "it needs 2 or more seeds" in result.stdout
    by_id = {entry["claim"]: entry["verdict"] for entry in verdict["verdicts"]}
    assert {by_id[f"undertrained: {name}"] for name in RESCUES} == {"INCONCLUSIVE"}
