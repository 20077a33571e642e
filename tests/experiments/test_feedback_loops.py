"""Feedback loops as a user runs them, and verdicts on planted worlds."""

import csv
import json
from functools import partial

import numpy as np
import pytest

from minima.claims.claim import FAIL, PARTIAL, PASS
from minima.runtime.errors import UserError
from parts.feedback_loops.claims import critical_distance, distance_to_uniform, errors_off, judge
from parts.feedback_loops.config import FeedbackConfig, PatrolsConfig, RecommenderConfig
from parts.feedback_loops.worlds import CORRECTIONS, LEARNERS, POLICIES, RATES, Worlds

FILES = ("verdict.json", "patrols.csv", "recommender.csv", "hiring.csv")


@pytest.fixture(scope="module")
def loops(python, script):
    return partial(python, script.parent / "feedback_loops.py", timeout=550)


@pytest.fixture(scope="module")
def smoke(loops, run_path, tmp_path_factory):
    """The smoke preset, run once: what it printed, where it ran, and the run."""
    cwd = tmp_path_factory.mktemp("loops")
    result = loops("--preset=smoke", cwd=cwd)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout, cwd, run_path(result.stdout, cwd)


@pytest.mark.slow
def test_all_is_written(smoke):
    out, _, run = smoke
    for name in (*FILES, *(f"figures/{n}.png" for n in ("patrols", "recommender", "hiring"))):
        assert (run / name).stat().st_size > 100
    with open(run / "patrols.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(RATES) * len(CORRECTIONS)
    worlds = json.loads((run / "verdict.json").read_text())["worlds"]
    assert worlds == {"urns": 2400, "markets": 80, "firms": 80}
    assert "verdicts, failures first" in out


@pytest.mark.slow
def test_the_same_command_simulates_nothing_and_changes_nothing(smoke, loops):
    out, cwd, run = smoke
    before = {name: (run / name).read_bytes() for name in FILES}
    again = loops(f"--flagfile={run / 'run.flags'}", cwd=cwd)
    assert (again.returncode, again.stdout) == (0, out)
    assert "measuring" not in again.stderr
    assert {name: (run / name).read_bytes() for name in FILES} == before


# --- verdicts on planted worlds ---------------------------------------------------------------


def planted(worlds=20, blind=0.2, silent_slope=-0.3):
    """Worlds in which everything is as claimed, but for what is asked."""
    rng = np.random.default_rng(0)

    def noisy(mean, *shape):
        return mean + 0.01 * rng.standard_normal((worlds, *shape))

    patrols = {}
    for name, (first, second) in RATES.items():
        for c in CORRECTIONS:
            many = 10_000 if name == "equal" else 40
            last = rng.random(many) if not c else 0.01 * rng.standard_normal(100)
            last = last if not c else last - last.mean() + first / (first + second)
            patrols[name, c] = {"last": last, "early": last - 0.1 + 0.01 * rng.random(len(last))}
    shops = {
        policy: {
            "logged": noisy(0.91, 5),
            "true": noisy(0.91 - blind * (1 - 0.5 * ("explores" in policy)), 5),
            "repeated": noisy(0.95, 5),
            "new": noisy(0.02 + 0.6 * ("explores" in policy), 5),
            "ideal_new": noisy(1.0),
            "gini": noisy(0.6, 5),
            "ideal_gini": noisy(0.5),
            "alike": noisy(0.25),
            "alike_first": noisy(0.2),
            "ideal_alike": noisy(0.15),
            "orders": noisy(0.9, 5),
            "plain": noisy(0.95),
            "weighted": noisy(0.91 - blind / 2),
        }
        for policy in POLICIES
    }
    firms = {
        learner: {
            "share": noisy(0.3 if "silence" in learner else 0.4, 6),
            "slope": np.linspace(0, 1, 6) * silent_slope + noisy(-0.8, 6),
            "logged": noisy(0.9, 6),
            "true": noisy(0.6, 6),
            "able": noisy(0.8, 6),
            "estimate": noisy(0.5, 6),
            "base": np.stack([np.full(worlds, 0.4), np.full(worlds, 0.5)], axis=1),
        }
        for learner in LEARNERS
    }
    return Worlds(patrols, shops, firms)


def verdicts(found):
    return {claim.id: verdict.verdict for claim, verdict in judge(found)}


def test_worlds_as_claimed_pass():
    found = verdicts(planted())
    assert found.pop("shop-explores-pays") != PASS  # the same orders with and without
    assert set(found.values()) == {PASS}


def test_worlds_that_are_not_fail():
    found = planted(blind=0.0, silent_slope=0.3)
    found.patrols["equal", 0.0]["last"] = np.random.default_rng(1).beta(3, 3, 10_000)
    said = verdicts(found)
    for id in ("shop-blind", "hiring-confirms", "urn-uniform", "urn-spread"):
        assert said[id] in (FAIL, PARTIAL), id


def test_statistics_of_urns():
    even = (np.arange(1000) + 0.5) / 1000
    assert distance_to_uniform(even) == pytest.approx(0.0005)
    assert critical_distance(10_000) == pytest.approx(0.0195, abs=1e-4)
    assert errors_off(np.array([0.4, 0.6, 0.5, 0.5]), 0.5) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"patrols": PatrolsConfig(days=100, looks=3)}, "--looks=3: must divide --days=100"),
        ({"patrols": PatrolsConfig(urns=5)}, "--urns=5: intervals over worlds need 20"),
        ({"recommender": RecommenderConfig(restaurants=12)}, "--restaurants=12: lists have 5"),
    ],
)
def test_bad_input_is_one_line(changes, says):
    with pytest.raises(UserError) as raised:
        FeedbackConfig(**changes)
    assert says in str(raised.value)
