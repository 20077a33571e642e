"""Consequences: matching, the A/A control, claims on planted differences; the smoke preset."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minima.claims.claim import FAIL, INCONCLUSIVE, PARTIAL, PASS
from minima.runtime.errors import UserError
from minima.statistics.intervals import binomial_interval
from minima.sweep.budgets import Budget
from minima.sweep.config import RecordConfig
from parts.consequences import stages
from parts.consequences.claims import judge
from parts.consequences.config import (
    AGAIN,
    AS_IS,
    AVERAGED,
    KINDS,
    LARGE,
    NOISY,
    OTHERS,
    PRESETS,
    SAM,
    SHORTCUT,
    SMALL,
    TUNED,
    ConsequencesConfig,
    KindsConfig,
    MatterConfig,
)
from parts.consequences.effects import effects, p_values, same_kind
from parts.consequences.matching import Between, Course, common_target, crossing, end_of, halves
from parts.consequences.measured import MATCHED, STATES, WHEN, Found
from parts.consequences.outcomes import (
    BITS_NEEDED,
    CONSEQUENCES,
    CORRUPTED,
    ECE_BAND,
    ECE_NULL,
    ERROR,
    INSIDE,
    MEMORISED,
    NLL,
    UNITS,
)
from parts.consequences.panel import ADAPTIVE, AVERAGE, LAMBDA_MAX, LOSS, NORM
from parts.consequences.report import answers, findings

SCRIPT = Path(__file__).parents[2] / "experiments" / "consequences.py"
SEEDS = 12


def test_halves_are_disjoint_and_cover_everything():
    first, second = halves(1001)
    assert len(first) == 500
    np.testing.assert_array_equal(np.sort(np.concatenate([first, second])), np.arange(1001))


def test_a_course_is_read_where_it_first_has_the_target():
    course = Course((10, 20, 30, 40), np.array([20.0, 50.0, 60.0, 55.0]))
    found = crossing(course, 57.5)
    assert found == Between(20, 30, 0.75)
    assert found.step == 27.5
    # What is read at the target's place has the target: exactly, on the examples that match.
    assert found.read(50.0, 60.0) == 57.5
    assert crossing(course, 15.0) is None  # before the first kept state: where, nobody knows
    assert crossing(course, 20.0) == Between(10, 10, 1.0)
    assert crossing(course, 70.0) is None  # never
    assert end_of(course) == Between(40, 40, 1.0)
    assert crossing(Course((), np.array([])), 50.0) is None
    lower = Course((5, 10), np.array([30.0, 52.0]))
    assert common_target([[course], [lower, Course((), np.array([]))]]) == 52.0
    stuck = Course((5, 10), np.array([10.0, 11.0]))
    assert common_target([[course] * 4, [lower] * 11 + [stuck]]) == 52.0


def test_equal_differences_and_the_level_of_the_test():
    rng = np.random.default_rng(0)
    assert p_values(np.zeros((1, 5)))[0] == 1
    assert p_values(np.ones((1, 5)))[0] == 0
    from scipy import stats

    rows = rng.normal(0.3, 1, (4, 9))
    expected = stats.ttest_1samp(rows, 0, axis=1).pvalue
    np.testing.assert_allclose(p_values(rows), expected, rtol=1e-10)


def test_two_arms_of_one_configuration_are_told_apart_in_five_percent():
    """Skewed, heavy and bounded values; fresh ones each time, so that trials are independent."""
    rng = np.random.default_rng(1)
    flagged = tests = 0
    for _ in range(150):
        pool = {
            name: values
            for name, values in zip(
                CONSEQUENCES,
                (
                    rng.normal(size=32),
                    rng.gamma(2, size=32),
                    rng.standard_t(4, size=32),
                    rng.beta(2, 8, size=32),
                ),
                strict=False,
            )
        }
        found = same_kind([pool], splits=5, seed=int(rng.integers(2**31)))
        flagged, tests = flagged + found.flagged, tests + found.tests
    assert tests == 150 * 4 * 5
    assert binomial_interval(flagged, tests, 0.999).contains(0.05)


def planted(shift=None, noise=0.3):
    """All values of every kind: normal around 10, shifted where `shift` says so.

    shift: by (state, kind, name), of all seeds.
    """
    rng = np.random.default_rng(4)
    names = (*CONSEQUENCES, LAMBDA_MAX, ADAPTIVE, AVERAGE, LOSS, NORM, WHEN)
    names += (ECE_NULL, ECE_BAND, INSIDE, "error with the shortcut")
    values = {}
    for state in STATES:
        values[state] = {}
        shared = {name: rng.normal(10, 1, SEEDS) for name in names}  # paired by seed
        for kind in KINDS:
            values[state][kind] = {
                name: shared[name]
                + rng.normal(0, noise, SEEDS)
                + (shift or {}).get((state, kind, name), 0.0)
                for name in names
            }
    scales = dict.fromkeys(CONSEQUENCES, 1.0)
    return Found(
        values,
        dict.fromkeys((AS_IS, SHORTCUT, NOISY), 60.0),
        {state: effects(values[state], scales) for state in STATES},
        same_kind([values[state][SMALL] for state in STATES], 50),
        {},
        {f"{NOISY}, {AVERAGED}": 3},
        {kind: 0.1 for kind in (SMALL, *OTHERS)},
        1000,
    )


def verdicts(found):
    return {claim.id: verdict.verdict for claim, verdict in judge(found)}


def test_what_was_planted_is_found_and_nothing_else():
    shift = {
        (MATCHED, LARGE, CORRUPTED): 2.0,
        (MATCHED, LARGE, LAMBDA_MAX): 12.0,
        (MATCHED, LARGE, BITS_NEEDED): -1.0,
        (MATCHED, SAM, MEMORISED): -3.0,
    }
    found = planted(shift)
    differs = {
        (e.kind, e.consequence) for e in found.effects[MATCHED] if e.flagged and e.kind != AGAIN
    }
    wanted = {(LARGE, CORRUPTED), (LARGE, BITS_NEEDED), (SAM, MEMORISED)}
    assert differs == wanted
    by_id = verdicts(found)
    assert by_id["large-batch-error-when-corrupted"] == PASS
    assert by_id["large-batch-bits-per-weight"] == FAIL
    assert by_id["sam-labels-memorised"] == PASS
    assert by_id["sharper-large-batch-lambda-max"] == PASS
    assert by_id["flatter-sam-lambda-max"] in (FAIL, INCONCLUSIVE)
    assert by_id["matched-sam"] == PASS
    assert by_id["large-batch-error-after-transfer"] in (FAIL, INCONCLUSIVE)
    lines = list(answers(found))
    large = next(line for line in lines if line.startswith(f"  {LARGE} "))
    assert f"better: {BITS_NEEDED}" in large
    assert f"worse: {CORRUPTED}" in large
    averaged = next(line for line in lines if line.startswith(f"  {AVERAGED} "))
    assert "no consequence differs" in averaged


def test_what_holms_correction_does_not_leave_is_partial():
    found = planted({(MATCHED, LARGE, NLL): 0.26})
    effect = next(e for e in found.effects[MATCHED] if (e.kind, e.consequence) == (LARGE, NLL))
    assert effect.p <= 0.05 < effect.adjusted
    assert verdicts(found)["large-batch-nll"] == PARTIAL


def test_an_unmatched_accuracy_fails():
    found = planted({(MATCHED, TUNED, ERROR): -3.0})
    assert verdicts(found)["matched-large-batch-tuned"] == FAIL


def test_failed_runs_leave_with_their_pairs_and_are_told():
    found = planted()
    values = found.values[MATCHED]
    values[SAM][MEMORISED][:2] = np.nan
    again = replace(found, effects={s: effects(found.values[s], {}) for s in STATES})
    again = replace(again, failed={f"{NOISY}, {SAM}": 2})
    one = next(e for e in again.effects[MATCHED] if (e.kind, e.consequence) == (SAM, MEMORISED))
    assert one.difference.n == SEEDS - 2
    said = findings(again, judge(again), "runs/x")
    assert any("2 runs failed" in line for line in said.lines)
    assert any("3 runs have the matched accuracy nowhere" in line for line in said.lines)
    assert set(said.figures) == {"consequences", "claims"}
    effect_rows = said.tables["effects"].rows
    assert len(effect_rows) == 2 * len(CONSEQUENCES) * (len(OTHERS) + 1)


def test_sweeps_are_of_the_kinds_that_they_are_named_after():
    config = MatterConfig()
    tried = stages.candidates(config)
    assert set(tried) == {SMALL, TUNED, SAM, AVERAGED}
    assert tried[SMALL].grid.seeds == config.kinds.seeds + config.kinds.again
    assert tried[SAM].training.rho == config.kinds.radius
    assert tried[AVERAGED].training.average == "ema"
    rest = stages.others(config, {SMALL: 0.01, TUNED: 0.2, SAM: 0.02, AVERAGED: 0.04})
    assert len(rest) == 1 + 2 * 5
    large = rest[AS_IS, LARGE]
    assert large.grid.learning_rates == (0.01,)
    assert large.training.budget == Budget(epochs=160.0)
    assert rest[NOISY, TUNED].training.label_noise == 0.4
    assert rest[NOISY, TUNED].record.snapshots == 4 * rest[SHORTCUT, TUNED].record.snapshots
    assert rest[SHORTCUT, SAM].task.dataset == "pulse:mnist1d"
    assert config.worlds == (AS_IS, SHORTCUT, NOISY)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: KindsConfig(small_batch=256), "--small_batch=256: must be below"),
        (lambda: KindsConfig(climbed=24), "--climbed=24: must divide"),
        (lambda: KindsConfig(seeds=(0, 105)), "is one of --seeds"),
        (lambda: KindsConfig(seeds=(10, 1010)), "closer together"),
        (lambda: MatterConfig(record=RecordConfig(snapshots=2)), "--snapshots=2"),
    ],
)
def test_bad_flags_get_a_line(make, words):
    with pytest.raises(UserError, match=words) as raised:
        make()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"shortcut": "mnist1d"}, "no groups"),
        ({"target": "fashion_mnist"}, "holds other inputs"),
        ({"labels": 5000}, "--labels=5000"),
    ],
)
def test_data_that_do_not_fit_get_a_line_before_anything_is_written(tmp_path, changed, words):
    asked = replace(ConsequencesConfig(), **changed)
    record = RecordConfig(workdir=str(tmp_path), snapshots=10)
    config = MatterConfig()
    task = replace(config.task, test_examples=100)
    config = replace(config, consequences=asked, record=record, task=task)
    with pytest.raises(UserError, match=words):
        stages.check(config, "consequences")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def smoke(python, run_path, tmp_path_factory):
    """The smoke preset, run twice in one folder."""
    folder = tmp_path_factory.mktemp("consequences")
    done = python(SCRIPT, "--preset=smoke", cwd=folder, timeout=900)
    assert done.returncode == 0, done.stderr
    path = run_path(done.stdout, folder)
    before = contents(path)
    again = python(SCRIPT, "--preset=smoke", cwd=folder, timeout=900)
    assert again.returncode == 0, again.stderr
    return path, done.stdout, before, contents(path)


def contents(path):
    names = ("verdict.json", "minima.csv", "matching.csv", "effects.csv", "calibration.csv")
    names += ("results.csv", "cells.jsonl", "measures.jsonl", "figures/consequences.svg")
    return {name: (path / name).read_bytes() for name in names}


@pytest.mark.slow
def test_the_smoke_preset_ends_in_verdicts_and_figures(smoke):
    path, out, before, after = smoke
    assert before == after
    assert (path / "figures" / "consequences.png").stat().st_size > 10_000
    verdict = json.loads((path / "verdict.json").read_text())
    ids = {each["claim"] for each in verdict["verdicts"]}
    assert {"a-a", "matched-sam", "sharper-large-batch-lambda-max"} <= ids
    assert "large-batch-error-of-the-worst-group" in ids
    assert "Sharp or flat, and does it matter?" in out
    # Every kind is there at both states, and matched runs are no further than their ends.
    with (path / "minima.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["state"], row["kind"]) for row in rows} == {
        (state, kind) for state in STATES for kind in KINDS
    }
    assert all(0 < float(row["share_of_training"]) <= 1 for row in rows)
    assert all(float(row["lambda_max"]) > 0 for row in rows)
    with (path / "effects.csv").open() as file:
        found = {row["consequence"] for row in csv.DictReader(file)}
    assert found == {name for name in UNITS if "nois" not in name and "memorised" not in name}


@pytest.mark.slow
def test_states_do_what_their_predictions_say(smoke):
    """Error and memorised labels, counted anew from a kept state of the smoke run."""
    from minima.record.snapshots import Snapshots
    from minima.sweep import prepare
    from minima.sweep.minima import predict_logits
    from parts.consequences.outcomes import _memorised, _noisy, _predictions

    path = smoke[0]
    preset = PRESETS["smoke"]
    assert preset["noise"] == 0.0
    prepared = prepare(_of_run(path), "consequences")
    assert prepared.directory == path
    plan, snapshots = prepared.plan, Snapshots(path)
    points = [(cell, snapshots.steps(cell)[-1]) for cell in (0, 4)]
    found = _memorised(prepared, points, 0.4)
    clean = _predictions(prepared, points)
    mesh = plan.layout.make_mesh()
    guesses = predict_logits(plan, snapshots, points, plan.dataset.train.inputs, mesh).argmax(-1)
    for i, (cell, _) in enumerate(points):
        seed = np.int32(plan.cells[cell]["seed"])
        labels = np.asarray(_noisy(plan.recipe.task, seed, plan.dataset.train.labels, 0.4))
        wrong = labels != plan.dataset.train.labels
        assert np.mean(wrong) == pytest.approx(0.4 * 0.9, abs=0.03)
        learnt = 100 * np.mean(guesses[i][wrong] == labels[wrong])
        assert found[MEMORISED][i] == pytest.approx(learnt)
        assert learnt < 20  # they were never shown
    np.testing.assert_allclose(found["error of noisy training"], clean[ERROR])
    assert (clean[ECE_NULL] < clean[ECE_BAND]).all()
    assert ((clean[NLL] > 0.5) & (clean[NLL] < 4)).all()
    assert set(np.unique(clean[INSIDE])) <= {0.0, 1.0}


def _of_run(path):
    from minima.record.run_directory import read_info
    from minima.sweep.config import SweepConfig

    config = SweepConfig.from_identity(read_info(path)["config"])
    return replace(config, record=RecordConfig(workdir=str(path.parents[1]), snapshots=8))
