"""Distribution shift as a user runs it, and each of its measurements where the truth is planted."""

import csv
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from minima.claims.claim import FAIL, PASS
from minima.evaluation.monitor import make_examples
from minima.runtime.errors import UserError
from minima.statistics.intervals import Interval
from parts.distribution_shift import line, months, priors, robustness
from parts.distribution_shift.claims import judge
from parts.distribution_shift.config import (
    PRESETS,
    DistributionShiftConfig,
    LineConfig,
    ShiftConfig,
    WatchConfig,
)
from parts.distribution_shift.measured import Measured
from parts.distribution_shift.months import ALERT, ALWAYS, NEVER, POLICIES, Course
from parts.distribution_shift.networks import Said, said
from parts.distribution_shift.streams import DETECTORS, WHOLE, Alarms

slow = pytest.mark.slow
FIGURES = ("corruptions", "line", "detectors", "months", "claims")
TABLES = ("corruptions", "severities", "strangers", "priors", "alarms", "months", "line")
SEEDS = 6


@pytest.fixture(scope="module")
def shift(python, script):
    return partial(python, script.parent / "distribution_shift.py")


@pytest.fixture(scope="module")
def smoke(shift, run_path, tmp_path_factory):
    """The smoke preset, run once: what it printed, where it ran, the run and its verdict."""
    cwd = tmp_path_factory.mktemp("shift")
    result = shift("--preset=smoke", cwd=cwd)
    assert (result.returncode, result.stderr.count("rror")) == (0, 0), result.stderr
    run = run_path(result.stdout, cwd)
    return result.stdout, cwd, run, json.loads((run / "verdict.json").read_text())


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


# --- what a finished run says ----------------------------------------------------------------


@slow
def test_files_are_there_and_named(smoke):
    out, cwd, run, verdict = smoke
    names = ["verdict.json", *(f"{table}.csv" for table in TABLES)]
    for name in [*names, *(f"figures/{figure}.png" for figure in FIGURES)]:
        assert str((run / name).relative_to(cwd)) in out
        assert (run / name).stat().st_size > 0
    assert len(verdict["verdicts"]) == 24
    assert set(verdict["runs"]) == {"images", "signals", "digits"}


@slow
def test_tables_hold_what_was_asked_for(smoke):
    _, _, run, _ = smoke
    corrupted = rows(run / "corruptions.csv")
    assert {row["data"] for row in corrupted} == {"images", "signals"}
    assert len(corrupted) == 16 + 13
    assert all(0 <= float(row["accuracy_5"]) <= 100 for row in corrupted)
    counted = rows(run / "line.csv")[0]
    assert int(counted["models"]) + int(counted["left_out"]) == 8
    made = {row["retrained"]: float(row["retrainings"]) for row in rows(run / "months.csv")}
    assert (made[NEVER], made[ALWAYS]) == (0, PRESETS["smoke"]["months"] - 2)
    assert 0 <= made[ALERT] <= made[ALWAYS]
    assert {row["severity"] for row in rows(run / "alarms.csv")} == set("012345")


@slow
def test_the_same_command_again_changes_nothing(smoke, shift):
    _, cwd, run, _ = smoke
    files = [run / "verdict.json", *(run / f"{table}.csv" for table in TABLES)]
    before = [path.read_bytes() for path in files]
    assert shift("--preset=smoke", cwd=cwd).returncode == 0
    assert [path.read_bytes() for path in files] == before


def test_what_does_not_fit_is_one_line_before_anything_starts(shift, tmp_path):
    result = shift("--preset=smoke", "--abroad=mnist1d", cwd=tmp_path)
    assert result.returncode == 2
    assert "--abroad=mnist1d: holds 10 classes of signal data" in result.stderr
    assert not list(tmp_path.glob("runs/**/cells.jsonl"))


@pytest.mark.parametrize(
    ("part", "changes", "match"),
    [
        ("line", {"launched_rate": 0.2}, "--launched_rate=0.2: must be one of"),
        ("line", {"line_seeds": (1,)}, "--line_seeds=.*2 or more"),
        ("shift", {"seeds": (1,)}, "--seeds=.*2 or more"),
        ("line", {"line_batches": (8,), "line_rates": (0.1,)}, "a line needs 4 settings"),
        ("shift", {"signal_examples": 200}, "--signal_examples=200: must be at least"),
        ("record", {"snapshots": 0}, "--snapshots=0"),
    ],
)
def test_a_config_that_compares_nothing_is_refused(part, changes, match):
    config = DistributionShiftConfig(ShiftConfig(), LineConfig(), WatchConfig())
    with pytest.raises(UserError, match=match):
        replace(config, **{part: replace(getattr(config, part), **changes)})


# --- planted truths --------------------------------------------------------------------------


def test_models_on_a_line_of_probits_leave_nothing_open():
    home = np.linspace(0.3, 0.95, 40)
    abroad = stats.norm.cdf(0.8 * stats.norm.ppf(home) - 0.5)
    open_share, slope = line._fit(line.probits(home, 10**9), line.probits(abroad, 10**9))
    assert (open_share, slope) == (pytest.approx(0, abs=1e-9), pytest.approx(0.8))
    noise = np.random.default_rng(0).normal(size=40)
    assert line._fit(noise, noise[::-1])[0] > 0.8
    assert np.isfinite(line.probits(np.array([0.0, 1.0]), 100)).all()


def test_said_is_accuracy_confidence_and_their_distance():
    p = np.array([[[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]]])
    found = said(p, np.array([0, 1, 1, 0]))
    assert found.accuracy[0] == 50
    assert found.confidence[0] == pytest.approx(75)
    assert found.overconfidence[0] == pytest.approx(25)


def test_separation_is_scikit_learns():
    rng = np.random.default_rng(0)
    above, below = np.round(rng.normal(1, 1, 50), 1), np.round(rng.normal(size=40), 1)
    truth = np.r_[np.ones(50), np.zeros(40)]
    assert robustness._auroc(above, below) == pytest.approx(
        roc_auc_score(truth, np.r_[above, below])
    )


def test_frequencies_are_found_where_only_they_have_changed():
    rng = np.random.default_rng(0)
    n, launched, now = 40_000, np.full(3, 1 / 3), np.array([0.7, 0.2, 0.1])

    def world(frequencies):
        labels = rng.choice(3, n, p=frequencies)
        x = labels[:, None] == np.arange(3)
        likelihood = np.exp(1.5 * (x + rng.normal(0, 1, (n, 3))))
        return likelihood / likelihood.sum(axis=1, keepdims=True), labels

    (held_out, known), (asked, labels) = world(launched), world(now)
    truth = np.bincount(labels, minlength=3) / n
    found = priors._one(asked, labels, truth, held_out, known, launched)
    counted, estimated, accuracy, corrected, best = found
    assert estimated < 0.02 < 0.05 < counted
    assert accuracy < corrected
    assert corrected == pytest.approx(best, abs=0.005)


def world_of(count, drift_month, last):
    """Launched networks that fail from a month on, and retrained ones that don't."""
    rng = np.random.default_rng(0)

    def examples(rate, shift):
        features, guesses = rng.normal(shift, 1, (count, 2)), rng.integers(0, 2, count)
        return make_examples(features, rng.random(count) < rate, guesses)

    seen = {}
    for learned in range(last - 1):
        for month in range(1, last + 1):
            drifted = month >= drift_month
            fails = drifted and learned < drift_month
            shift = 1.5 * (drifted and learned < drift_month)
            seen[learned, month] = [examples(0.6 if fails else 0.1, shift)]
    held_out = {learned: [examples(0.1, 0)] for learned in range(last - 1)}
    return seen, held_out


def test_policies_train_when_they_should():
    seen, held_out = world_of(100, drift_month=5, last=9)
    played = {
        policy: months._play(policy, range(1, 10), seen, held_out, 0, 100) for policy in POLICIES
    }
    assert played[NEVER][1] == ()
    assert played[ALWAYS][1] == (2, 3, 4, 5, 6, 7, 8)
    # Seen at the end of month 5, when only labels of month 4 are known; seen again a month later.
    assert played[ALERT][1] == (5, 6)
    assert played[ALERT][2] == 5
    accuracy = {policy: each[0] for policy, each in played.items()}
    assert max(accuracy[NEVER][4:]) < 0.6
    assert max(accuracy[ALERT][4:6]) < 0.6 < 0.8 < min(accuracy[ALERT][6:])
    assert accuracy[ALWAYS] == pytest.approx(accuracy[ALERT], abs=0.15)
    errors = [each.errors.sum() for each in (seen[0, month][0] for month in range(1, 9))]
    assert played[NEVER][3] == sum(errors)


def measured(fall, confidence_fall, unexplained, alarms, alert):
    """What a world says in which accuracy and confidence fall by so much, and so on."""
    rng = np.random.default_rng(0)

    def about(value, *shape):
        return value + rng.normal(0, 0.5, (*shape, SEEDS))

    clean = Said(about(90), about(91), about(2))
    worst = Said(about(90 - fall, 3, 5), about(91 - confidence_fall, 3, 5), about(9, 3, 5))
    robust = robustness.Robustness(("a", "b", "c"), clean, worst)
    abroad = Said(*(each[0, 0] for each in worst))
    stranger = robustness.Stranger("noise", about(80), about(40), about(70))
    frequencies = priors.Priors(about(20), about(10), about(70), about(75), about(76))
    interval = Interval(unexplained, unexplained - 0.02, unexplained + 0.02, 0.95, 9, "")
    points = np.linspace(0.3, 0.9, 200)
    found = line.Line(points, points, np.arange(200) // 10, 0, interval, interval)
    null = {name: Alarms(alarms, 10_000) for name in DETECTORS}
    power = {name: [Alarms(95, 100)] * 6 for name in (WHOLE, *DETECTORS)}
    courses = {
        policy: Course(about(level, 4).T, ((2,) * count,) * SEEDS, (3,) * SEEDS, (9,) * SEEDS)
        for policy, level, count in ((NEVER, 70, 0), (ALERT, alert, 4), (ALWAYS, 85, 12))
    }
    both = {"images": robust, "signals": robust}
    return Measured(
        both,
        {name: [stranger] for name in both},
        {name: frequencies for name in both},
        clean,
        abroad,
        found,
        null,
        {WHOLE: Alarms(alarms // 2, 10_000), **null},
        power,
        courses,
    )


def verdicts(**world):
    return {claim.id: verdict.verdict for claim, verdict in judge(measured(**world))}


def test_a_world_as_claimed_passes():
    found = verdicts(fall=30, confidence_fall=8, unexplained=0.05, alarms=500, alert=84)
    assert {name for name, verdict in found.items() if verdict != PASS} == set()


def test_a_world_that_is_not_as_claimed_fails():
    found = verdicts(fall=0, confidence_fall=0, unexplained=0.4, alarms=1200, alert=69)
    for name in ("images-accuracy-falls", "real-overconfident", "accuracy-on-the-line"):
        assert found[name] == FAIL
    assert found["false-alarms-monitor"] == FAIL
    assert found["alert-as-good-as-always"] == FAIL
    assert found["false-alarms-cusum"] != PASS
    follows = verdicts(fall=30, confidence_fall=29, unexplained=0.05, alarms=500, alert=84)
    assert follows["signals-confidence-stays"] == FAIL
