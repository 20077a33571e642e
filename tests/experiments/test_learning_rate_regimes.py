"""Learning-rate regimes as a user runs them, and claims on planted planes."""

import csv
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from minima.claims.claim import FAIL, PASS
from minima.claims.regimes import COLLAPSED, DIVERGED, FROZEN, LAZY, REGIMES, UNSTABLE
from minima.landscape.trainability import Window
from minima.runtime.errors import UserError
from parts.learning_rate_regimes.birds import Story, Trained
from parts.learning_rate_regimes.claims import judge
from parts.learning_rate_regimes.config import (
    BirdsConfig,
    FullBatchConfig,
    PictureConfig,
    RegimesConfig,
)
from parts.learning_rate_regimes.dips import DEEP, POOR, descend
from parts.learning_rate_regimes.pictures_of_rates import Seen
from parts.learning_rate_regimes.planes import FullBatch

TABLES = ("regimes", "boundaries", "birds", "dips", "trainability")
FIGURES = ("regimes", "birds", "dips", "trainability", "claims")
RATES = tuple(np.geomspace(1e-4, 10, 64).tolist())


@pytest.fixture(scope="module")
def regimes(python, script):
    return partial(python, script.parent / "learning_rate_regimes.py")


@pytest.fixture(scope="module")
def smoke(regimes, run_path, tmp_path_factory):
    """The smoke preset, run once: what it printed, where it ran, and the run."""
    cwd = tmp_path_factory.mktemp("regimes")
    result = regimes("--preset=smoke", cwd=cwd)
    assert (result.returncode, result.stderr.count("rror")) == (0, 0)
    return result.stdout, cwd, run_path(result.stdout, cwd)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


# --- as a user runs it -----------------------------------------------------------------------


@pytest.mark.slow
def test_every_table_and_figure_is_there(smoke):
    _, _, run = smoke
    for name in FIGURES:
        assert (run / "figures" / f"{name}.png").stat().st_size > 10_000
        assert (run / "figures" / f"{name}.svg").exists()
    assert all(rows(run / f"{name}.csv") for name in TABLES)
    assert {row["regime"] for row in rows(run / "regimes.csv")} <= set(REGIMES)
    verdict = json.loads((run / "verdict.json").read_text())
    assert set(verdict["runs"]) == {"tanh", "relu", "cross_entropy", "tutorial", "birds"}
    assert len(verdict["verdicts"]) == 6 + 4 + 5 + 6 + 1


@pytest.mark.slow
def test_the_same_command_again_changes_nothing(smoke, regimes):
    stdout, cwd, run = smoke
    kept = {path: path.stat().st_mtime_ns for path in run.glob("pictures/*/*.npy")}
    before = {name: (run / f"{name}").read_bytes() for name in ("verdict.json", "measures.jsonl")}
    assert len(kept) == 2 * 2
    again = regimes("--preset=smoke", cwd=cwd)
    assert again.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in run.glob("pictures/*/*.npy")} == kept
    assert {name: (run / f"{name}").read_bytes() for name in before} == before
    assert again.stdout.split("verdicts, ")[1] == stdout.split("verdicts, ")[1]


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"picture": PictureConfig(pixels=48)}, "--pixels=48"),
        ({"birds": BirdsConfig(reporting_seeds=(1, 2))}, "--reporting_seeds=1,2: seed 1"),
        ({"full_batch": FullBatchConfig(learning_rates=(0.1, 0.2))}, "--learning_rates"),
    ],
)
def test_what_could_not_be_judged_is_one_line(change, message):
    with pytest.raises(UserError, match=message) as error:
        replace(RegimesConfig(), **change)
    assert "\n" not in str(error.value)


# --- planted planes --------------------------------------------------------------------------


def planted(name, onset, limit, seeds=6):
    """A plane with sharpness near 10, whose boundaries are `onset` and `limit` over it."""
    start = 10.0 * np.geomspace(0.9, 1.1, seeds)
    scaled = start[:, None] * np.array(RATES)
    names = np.select(
        [scaled < 0.01, scaled < onset, scaled < limit, scaled < 4 * limit],
        [FROZEN, LAZY, UNSTABLE, COLLAPSED],
        DIVERGED,
    )
    flat = np.ones_like(scaled)
    end = np.where(names == UNSTABLE, 1.5 / np.array(RATES), np.nan)
    loss = "cross_entropy" if name == "cross_entropy" else "squared_error"
    regimes = [[str(each) for each in row] for row in names]
    return FullBatch(name, loss, RATES, regimes, regimes, flat, flat, flat, 0.45, start, end)


def trained(accuracy, start, chance, last):
    by_seed = np.array(accuracy)[:, None] + np.linspace(-1, 1, 5)
    losses = np.full((3, 5, 4), last)
    failed = np.zeros((3, 5), bool)
    start = start * np.geomspace(0.9, 1.1, 5)
    return Trained((0.02, 0.04, 0.16), by_seed, losses, chance, 2.08, failed, start)


def fractal(seed, rough):
    """Ends of 64 × 64 pairs of rates with a straight edge, or with one that fills much of it."""
    random = np.random.RandomState(seed)
    ends = np.where(np.arange(64)[:, None] < 32, 0.5, 2.0) * np.ones((1, 64))
    near = np.abs(np.arange(64) - 31.5)[:, None] < 24
    mixed = np.where(random.random_sample((64, 64)) < 0.3, 2.5 - ends, ends)
    return Seen(seed, 1, Window(0.0, 0.0, 1.0), np.where(near & rough, mixed, ends))


@pytest.fixture(scope="module")
def dips():
    return [descend(depth, 50) for depth in (POOR, DEEP)]


def verdicts(dips, onset=2.0, limits=(4.0, 12.0), shift=4.0, fails=True, rough=True):
    planes = {
        "tanh": planted("tanh", onset, limits[0]),
        "relu": planted("relu", onset, limits[1]),
        "cross_entropy": planted("cross_entropy", shift * onset, shift * limits[1]),
    }
    tutorial = trained((74, 76, 73), 5.0, 10, 0.5)
    birds = trained((55, 60, 12.5 if fails else 61), 20.0, 12.5, 2.08 if fails else 0.4)
    story = Story(tutorial, birds, 2, 1, True)
    judged = judge(planes, story, dips, [fractal(seed, rough) for seed in range(6)])
    return {claim.id: verdict.verdict for claim, verdict in judged}


def test_where_everything_is_as_predicted_all_claims_pass(dips):
    found = verdicts(dips)
    rough = "the edge of trainability is rough: zoom 1"
    assert {name: v for name, v in found.items() if v != PASS and name != rough} == {}


@pytest.mark.parametrize(
    ("world", "claims"),
    [
        (
            {"onset": 0.9},
            [
                "tanh: the loss rises above 2 / sharpness",
                "relu: the loss rises above 2 / sharpness",
            ],
        ),
        ({"limits": (8.0, 12.0)}, ["tanh: trains up to 4 / sharpness"]),
        ({"limits": (4.0, 40.0)}, ["relu: trains up to 12 / sharpness"]),
        ({"shift": 0.5}, ["cross-entropy shifts the onset", "cross-entropy shifts the limit"]),
        ({"fails": False}, ["taken to bird calls, it does not", "one number changed"]),
    ],
)
def test_where_it_is_otherwise_the_claim_fails(dips, world, claims):
    found = verdicts(dips, **world)
    assert [found[claim] for claim in claims] == [FAIL] * len(claims)


def test_a_smooth_edge_is_not_called_rough(dips):
    name = "the edge of trainability is rough: zoom 1"
    assert verdicts(dips, rough=False)[name] != PASS


def test_a_dip_is_left_between_its_edge_and_four_times_that(dips):
    for found in dips:
        assert 1 < found.boundary / found.edge < 4
        assert found.left[found.nearest(0.9)].sum() == 0
        assert found.left[found.nearest(4)].all()
