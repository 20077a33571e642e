"""From the command line to verdict.json: a plane, its branches and twins, judged."""

import csv
import json
import shutil

import numpy as np
import pytest

import minima
from minima.claims.ledger import CLAIMS

pytestmark = pytest.mark.slow

FLAGS = (
    "--dataset=mnist1d",
    "--test_examples=500",
    "--batch_sizes=16,64,256",
    "--learning_rates=0.0625:1:log5",
    "--seeds=8",
    "--budget=1epochs",
    "--evaluations=4",
    "--branches=all",
    "--tensorboard=false",
)
CHOOSING, REPORTING = (0, 1), (2, 3, 4, 5, 6, 7)


@pytest.fixture(scope="module")
def flagship(experiment, run_path, tmp_path_factory):
    """What the command printed, and the plane's run; branches are beside it."""
    cwd = tmp_path_factory.mktemp("flagship")
    result = experiment(*FLAGS, cwd=cwd, timeout=400)
    assert result.returncode == 0, result.stderr
    return result, cwd, run_path(result.stdout, cwd)


@pytest.fixture(scope="module")
def verdict(flagship):
    return json.loads((flagship[2] / "verdict.json").read_text())


def accuracies(run, name):
    """(batch size, rate, seed) -> a metric, from results.csv; None where the run failed."""
    with open(run / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        (int(r["batch_size"]), float(r["learning_rate"]), int(r["seed"])): (
            None if r["status"] in ("diverged", "collapsed") else float(r[name])
        )
        for r in rows
    }


def best_rate(run, size):
    """By mean validation accuracy of the choosing seeds, where none failed."""
    table = accuracies(run, "validation_accuracy")
    means = {}
    for rate in sorted({rate for _, rate, _ in table}):
        values = [table[size, rate, seed] for seed in CHOOSING]
        if None not in values:
            means[rate] = np.mean(values)
    return max(means, key=means.get)


def test_every_claim_has_a_verdict_and_failures_come_first(flagship, verdict):
    assert {entry["claim"] for entry in verdict["verdicts"]} == {claim.id for claim in CLAIMS}
    order = ["FAIL", "DISPUTED", "PARTIAL", "INCONCLUSIVE", "PASS"]
    places = [order.index(entry["verdict"]) for entry in verdict["verdicts"]]
    assert places == sorted(places)
    for entry in verdict["verdicts"]:
        assert entry["claim"] in flagship[0].stdout
        assert entry["tolerance_hash"]
        if entry["verdict"] == "INCONCLUSIVE":
            assert entry["enough"]
    assert verdict["choosing_seeds"] == [*CHOOSING]
    assert verdict["reporting_seeds"] == [*REPORTING]
    assert verdict["left_out"] == []


def test_the_raw_gap_is_that_of_results_csv(flagship, verdict):
    run, gap = flagship[2], verdict["gaps"]["finite data"]
    rate, test = best_rate(run, 16), accuracies(run, "test_accuracy")

    def mean(size):
        values = [test[size, rate, seed] for seed in REPORTING]
        return 100 * np.mean([0.1 if value is None else value for value in values])

    assert gap["raw_gap"]["estimate"] == pytest.approx(mean(16) - mean(256), abs=1e-9)
    assert gap["accuracy"]["small"]["estimate"] == pytest.approx(mean(16), abs=1e-9)


@pytest.mark.parametrize("data", ["finite data", "infinite data"])
def test_parts_and_remainder_sum_to_the_raw_gap_in_every_order(verdict, data):
    gap = verdict["gaps"][data]
    left, raw = gap["remainder"]["estimate"], gap["raw_gap"]["estimate"]
    sums = [sum(part["estimate"] for part in gap["parts"].values())]
    sums += [sum(part["estimate"] for part in steps.values()) for steps in gap["orders"].values()]
    assert len(sums) == 3
    for total in sums:
        assert total + left == pytest.approx(raw, abs=1e-9)


def test_small_and_large_are_compared_where_their_training_losses_are_nearest(flagship, verdict):
    run, found, ratios = flagship[2], verdict["at_same_loss"], []
    curves = {tuple(cell["cell"].values()): cell["trajectory"] for cell in minima.load(run).cells}
    [longer] = [
        branch
        for branch in map(minima.load, run.parent.iterdir())
        if branch.config["branch"]["branch_from"].endswith(run.name)
        and branch.config["grid"]["batch_sizes"] == [256]
    ]
    for cell in longer.cells:
        seed = cell["cell"]["seed"]
        if cell["cell"]["learning_rate"] == found["learning_rate"] and seed in REPORTING:
            wanted = curves[16, best_rate(run, 16), seed]["train_loss"][-1]
            off = np.log(np.array(cell["trajectory"]["train_loss"]) / wanted)
            ratios.append(off[np.abs(off).argmin()])
    assert len(ratios) == len(REPORTING)
    assert found["training_loss_ratio"] == pytest.approx(np.exp(np.mean(ratios)))
    assert found["difference"]["low"] < found["difference"]["high"]


def test_the_same_command_trains_nothing_and_writes_the_same_verdict(flagship, experiment):
    _, cwd, run = flagship
    before = (run / "verdict.json").read_bytes()
    again = experiment(*FLAGS, cwd=cwd, timeout=200)
    assert again.returncode == 0
    assert "examples/s" not in again.stdout + again.stderr
    assert (run / "verdict.json").read_bytes() == before


def test_a_lost_branch_is_trained_again_to_the_same_verdict(flagship, experiment):
    _, cwd, run = flagship
    before = (run / "verdict.json").read_bytes()
    branches = [path for path in run.parent.iterdir() if path.is_dir() and path != run]
    assert len(branches) == 5
    for path in branches:
        info = json.loads((path / "run.json").read_text())
        if info["config"]["branch"]["branch_from"]:
            shutil.rmtree(path)
            break
    assert experiment(*FLAGS, cwd=cwd, timeout=200).returncode == 0
    assert (run / "verdict.json").read_bytes() == before


def test_one_claim_is_judged_alone_and_leaves_the_whole_verdict(flagship, experiment):
    _, cwd, run = flagship
    before = (run / "verdict.json").read_bytes()
    result = experiment(*FLAGS, "--claims=keskar2017-gap", cwd=cwd, timeout=200)
    assert result.returncode == 0
    assert "hoffer2017" not in result.stdout
    alone = json.loads((run / "verdict-keskar2017-gap.json").read_text())
    whole = json.loads(before)["verdicts"]
    assert alone["verdicts"] == [v for v in whole if v["claim"] == "keskar2017-gap"]
    assert (run / "verdict.json").read_bytes() == before


def test_without_snapshots_there_is_no_verdict_and_no_error(experiment, run_path, tmp_path):
    result = experiment("--preset=smoke", "--snapshots=0", cwd=tmp_path)
    assert result.returncode == 0
    assert "cells were trained with --snapshots=0, which keeps no minima" in result.stdout
    run = run_path(result.stdout, tmp_path)
    assert not (run / "verdict.json").exists()
    assert not (run / "snapshots").exists()
    again = experiment(
        "--preset=smoke", cwd=tmp_path
    )  # the same run: what is kept changes no number
    assert again.returncode == 0
    assert "no verdict" in again.stdout


def test_what_is_no_claim_or_branch_is_refused_in_a_line(experiment, tmp_path):
    for flag, words in (
        ("--claims=keskar", "no claim 'keskar'; did you mean keskar2017-gap?"),
        ("--branches=update", "'update' is none of updates, schedules, infinite, all, none"),
    ):
        result = experiment("--preset=smoke", flag, cwd=tmp_path)
        assert result.returncode == 2
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
        assert not list(tmp_path.iterdir())


def test_the_plan_says_what_cannot_be_judged_before_training(experiment, tmp_path):
    few = experiment("--preset=smoke", "--plan_only", "--branches=all", cwd=tmp_path).stdout
    assert "too few: 5 must report, so give --seeds=8 or more" in few
    assert "infinite (--dataset=fashion_mnist has no twin that never repeats)" in few
    many = experiment("--preset=laptop", "--plan_only", cwd=tmp_path).stdout
    assert "gaps below about" in many
