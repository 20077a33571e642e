"""Calibration as a user runs it, and its verdicts on networks of known faults."""

import csv
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from minima.evaluation.arrays import softmax
from minima.runtime.errors import UserError
from minima.sweep.budgets import parse_budget
from minima.sweep.config import TaskConfig, TrainingConfig
from minima.tasks.datasets.corruptions import CORRUPTIONS, corrupt, units_of
from minima.tasks.datasets.dataset import Split, assemble
from parts.calibration.arms import ARMS, PLAIN, TEMPERATURE, Said, corrupted, score_arms
from parts.calibration.claims import judge
from parts.calibration.config import CalibrationConfig, NetworksConfig, PlaneConfig
from parts.calibration.courses import score_states
from parts.calibration.findings import left_out
from parts.calibration.matched import PLACES, Matched
from parts.calibration.measured import Measured, check_data
from parts.calibration.scores import SCORES, planted_inside
from parts.calibration.sweeps import MAIN, sweeps

SCRIPT = Path(__file__).parents[2] / "experiments" / "calibration.py"
TABLES = ("training", "repairs", "shift", "plane", "classes")
FIGURES = ("reliability", "training", "shift", "plane", "claims")
SEEDS, CLASSES, N, BINS, MEMBERS = 6, 4, 800, 10, 2


# --- the arithmetic ---------------------------------------------------------------------------


def test_corrupted_test_sets_are_dealt_out():
    rng = np.random.default_rng(0)
    split = Split(rng.normal(size=(60, 40)).astype(np.float32), np.arange(60, dtype=np.int32) % 4)
    data = assemble(
        "waves", split, split, num_classes=4, kind="signal", validation_fraction=0.2,
        licence="none", source="made here",
    )  # fmt: skip
    names = tuple(CORRUPTIONS["signal"])[:3]
    found, units = corrupted(data, names, 4), units_of(data)
    for i, name in enumerate(names):
        own = corrupt("signal", data.test.inputs[i::3], name, 4, units=units)
        np.testing.assert_array_equal(found[i::3], own)
    assert not np.array_equal(found, data.test.inputs)


def test_calibrated_sets_land_inside_the_band_and_others_would_not():
    rng = np.random.default_rng(1)
    p = softmax(rng.normal(0, 2, (3 * 400, 5))).reshape(3, 400, 5)
    assert 85 <= planted_inside(p, BINS, times=100, size=300) <= 100


# --- verdicts on planted networks ---------------------------------------------------------------


def measured(gain=4.0, noise=0.7, moved=0.5, lesser=1.5, plane=0.0, skew=0.0, classes=CLASSES):
    """Networks that see the truth through noise of their own, and exaggerate.

    Args:
      gain: by which the ends of training multiply their logits.
      noise: of each network.
      moved: further noise, in every network alike, for each step of severity.
      lesser: gain of narrow networks and of those with many examples.
      plane: points by which small batches are surer at one accuracy.
      skew: of one class's logit, which no temperature mends.
    """
    rng = np.random.default_rng(2)
    truth = rng.normal(0, 2, (2 * N, classes))
    labels = (softmax(truth).cumsum(axis=1) > rng.random(2 * N)[:, None]).argmax(axis=1)
    own = noise * rng.normal(size=(SEEDS, 2 * N, classes))
    shared = rng.normal(size=(2 * N, classes))
    tilt = skew * (np.arange(classes) == 0)

    def said(severity):
        seen = truth + own + severity * moved * shared
        drawn = np.stack([softmax(0.9 * z) for z in seen[:4]])
        return Said(gain * (seen + tilt), seen, seen[:4], drawn)

    def split(each):
        return Said(*(z[:, :N] for z in each)), Said(*(z[:, N:] for z in each))

    # Validation examples are never corrupted.
    clean = split(said(0))
    told = [clean, *((clean[0], split(said(severity))[1]) for severity in range(1, 6))]
    held, test = labels[:N], labels[N:]

    def states(*gains):
        pairs = [(g * z[:N], g * z[N:]) for z in truth + own + tilt for g in gains]
        return score_states(pairs, held, test, BINS)

    levels = dict.fromkeys(SCORES, 50.0)
    small = rng.normal(0, 0.1, (3, 2, 2, 8))
    raw = {
        place: {name: level + small[i] for name, level in levels.items()}
        for i, place in enumerate(PLACES)
    }
    raw["accuracy"]["overconfidence"][0] += plane
    course = states(1.0, 2.0, gain)
    return Measured(
        updates=np.array([100.0, 200.0, 300.0]),
        course=course,
        stopped=np.zeros(SEEDS, int),
        narrow=states(lesser),
        few=states(2 * gain - lesser),
        arms=score_arms(told, (held, test), MEMBERS, BINS, ("noise",)),
        plane=Matched(raw, raw, [0, 0], (16, 256), (0.001, 0.01), course),
        inside=1900,
        planted=2000,
        labels=test,
        failed=0,
    )


def verdicts(found):
    return {claim.id: verdict.verdict for claim, verdict in judge(found)}


@pytest.fixture(scope="module")
def overconfident():
    return measured()


def test_overconfident_networks_are_found_and_repaired(overconfident):
    told = verdicts(overconfident)
    passed = {name for name, verdict in told.items() if verdict == "PASS"}
    assert passed >= {
        "calibrated-inside-the-band",
        "temperature-keeps-predictions",
        "temperature-keeps-validation-loss",
        "longer-training-overconfident",
        "larger-overconfident",
        "fewer-examples-overconfident",
        "temperature-repairs",
        "temperature-is-enough",
        "temperature-fades",
        "temperature-still-helps",
        "accuracy-falls-confidence-stays",
        "batch-size-at-one-accuracy",
        "learning-rate-at-one-training-loss",
    }
    assert np.allclose(overconfident.course.temperature.reshape(SEEDS, 3)[:, 2], 4 * 1.2, rtol=0.2)


@pytest.mark.parametrize(
    ("fault", "claims"),
    [
        ({"gain": 1.0, "lesser": 1.0}, ["longer-training-overconfident", "larger-overconfident"]),
        (
            {"moved": 0.0, "plane": 5.0, "skew": 4.0},
            [
                *("accuracy-falls-confidence-stays", "temperature-fades"),
                *("temperature-is-enough", "temperature-reaches-the-floor"),
                "batch-size-at-one-accuracy",
            ],
        ),
    ],
)
def test_what_is_planted_otherwise_fails(fault, claims):
    told = verdicts(measured(**fault))
    assert [told[claim] for claim in claims] == ["FAIL"] * len(claims)


def test_every_way_is_judged_on_examples_that_it_was_not_fitted_to(overconfident):
    scores = overconfident.arms.scores
    assert set(scores) == set(ARMS)
    assert all(set(by_severity) == set(range(6)) for by_severity in scores.values())
    assert scores["ensemble"][0]["nll"].shape == (SEEDS // MEMBERS,)
    plain, repaired = (overconfident.arms.of(arm, "accuracy") for arm in (PLAIN, TEMPERATURE))
    np.testing.assert_array_equal(plain, repaired)
    means = overconfident.arms.by_ensemble(PLAIN, "nll")
    assert means[0] == pytest.approx(overconfident.arms.of(PLAIN, "nll")[:2].mean())


def test_without_corruptions_nothing_is_said_of_shift(overconfident):
    arms = overconfident.arms
    clean = {arm: {0: by_severity[0]} for arm, by_severity in arms.scores.items()}
    found = replace(overconfident, arms=replace(arms, scores=clean, corruptions=()))
    judged = judge(found)
    assert not [claim.id for claim, _ in judged if "shift" in claim.id or "fades" in claim.id]
    assert left_out(found) == ["no corruption is for such data: nothing is said of shift"]
    assert left_out(replace(overconfident, failed=2))[0].startswith("2 seeds are left out")


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"networks": NetworksConfig(seeds=(1, 2))}, "--members=5"),
        ({"plane": PlaneConfig(tuning_seeds=(1, 102))}, "--tuning_seeds=1,102"),
        ({"plane": PlaneConfig(batch_sizes=(16,))}, "--batch_sizes=16"),
        ({"plane": PlaneConfig(rates=(0.1,))}, "--rates=0.1"),
        ({"task": TaskConfig("mnist1d", validation_fraction=0.0)}, "--validation_fraction=0"),
        ({"task": TaskConfig("mnist1d", train_examples=9)}, "--train_examples=9"),
        ({"task": TaskConfig("mnist1d", loss="squared_error")}, "--loss=squared_error"),
        ({"task": TaskConfig("mnist1d", model="linear")}, "--model=linear"),
        ({"training": TrainingConfig(dropout=0.5)}, "--dropout=0.5"),
        ({"training": TrainingConfig(evaluations=1)}, "--evaluations=1"),
        (
            {"training": TrainingConfig(budget=parse_budget("9epochs,early_stopping=3"))},
            "--budget=9epochs",
        ),
    ],
)
def test_bad_combinations_are_one_line(change, flag):
    with pytest.raises(UserError) as error:
        CalibrationConfig(**change)
    assert str(error.value).startswith(flag)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"task": "regression"}, "--dataset=it: has numbers"),
        ({"per_position": True}, "--dataset=it: has a label at every position"),
        ({"num_classes": 4}, "--validation_fraction=0.2: leaves no validation example of class 3"),
    ],
)
def test_data_without_classes_to_be_sure_of_are_one_line(told, says):
    split = Split(np.zeros((3, 2)), np.arange(3))
    about = {"name": "it", "task": "classification", "per_position": False, "num_classes": 3}
    data = SimpleNamespace(validation=split, **(about | told))
    config = SimpleNamespace(task=TaskConfig("mnist1d"))
    with pytest.raises(UserError, match=says):
        check_data({MAIN: SimpleNamespace(plan=SimpleNamespace(dataset=data, config=config))})


def test_lesser_networks_can_be_left_out():
    assert set(sweeps(CalibrationConfig())) == {"networks", "narrow", "few_examples", "plane"}
    without = CalibrationConfig(networks=NetworksConfig(narrow=0, few=0))
    assert set(sweeps(without)) == {"networks", "plane"}


# --- the command --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calibrated(python):
    return partial(python, SCRIPT)


@pytest.fixture(scope="module")
def smoke(calibrated, run_path, tmp_path_factory):
    cwd = tmp_path_factory.mktemp("calibration")
    result = calibrated("--preset=smoke", cwd=cwd)
    assert (result.returncode, result.stderr.count("rror")) == (0, 0), result.stderr
    run = run_path(result.stdout, cwd)
    return result.stdout, cwd, run, json.loads((run / "verdict.json").read_text())


@pytest.mark.slow
def test_the_smoke_preset_writes_tables_verdicts_and_figures(smoke):
    out, _, run, verdict = smoke
    assert "verdicts, failures first:" in out
    for name in FIGURES:
        for ending in ("png", "svg"):
            assert (run / "figures" / f"{name}.{ending}").stat().st_size > 5_000
    with open(run / "repairs.csv", newline="") as file:
        rows = {row["way"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(ARMS)
    assert rows[PLAIN]["accuracy_points"] == rows[TEMPERATURE]["accuracy_points"]
    told = {each["claim"]: each["verdict"] for each in verdict["verdicts"]}
    assert told["temperature-keeps-predictions"] == "PASS"
    assert told["temperature-keeps-validation-loss"] == "PASS"


@pytest.mark.slow
def test_the_same_command_changes_nothing(smoke, calibrated):
    _, cwd, run, _ = smoke
    files = ["verdict.json", *(f"{name}.csv" for name in TABLES)]
    before = {name: (run / name).read_bytes() for name in files}
    again = calibrated("--preset=smoke", cwd=cwd)
    assert (again.returncode, again.stderr) == (0, "")  # nothing is trained again
    assert {name: (run / name).read_bytes() for name in files} == before
