"""The three briefs as a user runs them, and their rule on planted scores."""

import csv
import json
from functools import partial

import numpy as np
import pytest

from minima.claims.claim import FAIL, PASS
from minima.claims.seeded import Judge
from minima.runtime.errors import UserError
from parts.architecture_briefs import chest, churn, roads
from parts.architecture_briefs.brief import MARGIN, Brief, Scored, answer
from parts.architecture_briefs.config import BriefsConfig, DataConfig, RunsConfig
from parts.architecture_briefs.report import briefs_figure, table

CONFIG = BriefsConfig()


@pytest.fixture(scope="module")
def briefs(python, script):
    return partial(python, script.parent / "architecture_briefs.py")


@pytest.fixture(scope="module")
def smoke(briefs, run_path, tmp_path_factory):
    """The smoke preset, run once: what it printed, where it ran, the run."""
    cwd = tmp_path_factory.mktemp("briefs")
    result = briefs("--preset=smoke", cwd=cwd, timeout=600)
    assert (result.returncode, result.stderr.count("rror")) == (0, 0)
    return result.stdout, cwd, run_path(result.stdout, cwd)


# --- the rule --------------------------------------------------------------------------------


def scored(name, mean, spread=0.1, seeds=5):
    luck = np.random.default_rng(sum(map(ord, name))).normal(0, spread, seeds)
    scores = mean + luck - luck.mean()
    return Scored(name, scores, 0.01, 10, 1000)


def asked(*candidates, excluded=()):
    names = [each.name for each in candidates]
    brief = Brief("churn", "A", "sequential.", "%", dict.fromkeys(names), None, "…", excluded)
    return answer(brief, {each.name: each for each in candidates})


def test_the_simplest_that_loses_little_is_recommended():
    found = asked(scored("a", 80), scored("b", 89.5), scored("c", 90), scored("d", 89.9))
    assert (found.choice.name, found.best.name) == ("b", "c")
    assert found.loss.high <= MARGIN
    assert any("use: b (89." in line for line in found.lines())


def test_the_burden_of_proof_is_on_the_simpler_one():
    noisy = Scored("a", np.array([84.0, 96, 89, 92, 88]), 0.01, 10, 1000)
    assert asked(noisy, scored("b", 90)).choice.name == "b"
    one = [scored("a", 89.9, seeds=1), scored("b", 90, seeds=1)]
    assert asked(*one).choice.name == "b"


def test_controls_are_not_recommended():
    assert asked(scored("a", 80), scored("b", 99), excluded=("b",)).choice.name == "a"


# --- claims on planted scores ----------------------------------------------------------------


def verdicts(judge, means):
    # Four seeds: too few for controls, so that the rule alone decides.
    scores = {name: scored(name, mean, seeds=4) for name, mean in means.items()}
    found = judge(Judge("architecture_briefs", "test", "planted"), scores)
    return {claim.id: verdict.verdict for claim, verdict in found}


@pytest.mark.parametrize(("sequence", "verdict"), [(85, PASS), (76, FAIL)])
def test_order_against_summaries(sequence, verdict):
    means = {churn.SUMMARY: 80, churn.SUMMARY_YEAR: 80} | dict.fromkeys(churn.SEQUENCE, 70)
    means[churn.SEQUENCE[1]] = sequence
    assert set(verdicts(churn.brief(CONFIG).judge, means).values()) == {verdict}


def test_transfer_against_scratch():
    few, many = CONFIG.data.labels
    means = {chest.named(chest.SCRATCH, few): 70, chest.named(chest.SCRATCH, many): 90}
    means |= {chest.named(chest.PROBE, few): 75, chest.named(chest.TUNED, few): 78}
    means[chest.named(chest.TUNED, many)] = 90.5
    judge = chest.brief(CONFIG, "runs/x").judge
    assert set(verdicts(judge, means).values()) == {PASS}
    means |= {chest.named(chest.PROBE, few): 65, chest.named(chest.TUNED, few): 66}
    means[chest.named(chest.TUNED, many)] = 95
    assert set(verdicts(judge, means).values()) == {FAIL}


def test_roads_against_crossings():
    judge = roads.brief(CONFIG).judge
    good = {roads.GNN: 95, roads.MLP: 80, roads.REWIRED: 60}
    assert set(verdicts(judge, good).values()) == {PASS}
    bad = {roads.GNN: 70, roads.MLP: 80, roads.REWIRED: 90}
    assert set(verdicts(judge, bad).values()) == {FAIL}


# --- what is shown ---------------------------------------------------------------------------


def test_table_and_figure():
    found = asked(scored("a", 89.5), scored("b", 90), scored("c", 70), excluded=("c",))
    rows = list(csv.DictReader(table(found).csv().splitlines()))
    assert [row["recommended"] for row in rows] == ["here", "", ""]
    assert float(rows[1]["score_low"]) < 90 < float(rows[1]["score_high"])
    assert len(briefs_figure([found], "run").png) > 1000


# --- before anything is trained --------------------------------------------------------------


def test_wrong_combinations_are_refused():
    with pytest.raises(UserError, match="--labels=200"):
        BriefsConfig(data=DataConfig(labels=(200,)))
    with pytest.raises(UserError, match="--roads="):
        BriefsConfig(data=DataConfig(briefs=("churn",), roads="x.npz"))
    with pytest.raises(UserError, match="seed 1 is one"):
        BriefsConfig(runs=RunsConfig(tuning_seeds=(1,)))
    with pytest.raises(UserError, match="--width=20"):
        BriefsConfig(runs=RunsConfig(width=20))


def test_pretraining_has_every_seed_that_is_used():
    runs = CONFIG.runs
    assert set(chest.pretraining(CONFIG).grid.seeds) == {*runs.seeds, *runs.tuning_seeds}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--briefs=churn,dogs"], "'dogs' is none of churn, chest, roads"),
        (["--churn=nothing.npz"], "--dataset 'churn_summary:nothing.npz'"),
        (["--briefs=chest", "--chest=nothing.npz"], "--dataset 'chest:nothing.npz'"),
        (["--briefs=roads", "--roads=nothing.npz"], "--dataset 'roads:nothing.npz'"),
        (["--briefs=chest", "--labels=100,9999"], "--train_examples=9999"),
    ],
)
def test_what_does_not_fit_is_one_line(briefs, one_line, tmp_path, flags, says):
    result = briefs(*flags, cwd=tmp_path, timeout=120)
    assert result.returncode == 2
    assert says in one_line(result.stderr)
    assert not list(tmp_path.iterdir())


# --- the command -----------------------------------------------------------------------------


@pytest.mark.slow
def test_each_brief_ends_in_a_recommendation(smoke):
    out, _, run = smoke
    verdict = json.loads((run / "verdict.json").read_text())
    assert set(verdict["recommended"]) == {"churn", "chest", "roads"}
    for letter, (name, choice) in zip("ABC", verdict["recommended"].items(), strict=True):
        rows = list(csv.DictReader((run / f"{name}.csv").read_text().splitlines()))
        assert [row["candidate"] for row in rows if row["recommended"]] == [choice]
        assert all(int(row["operations_per_prediction"]) > 0 for row in rows)
        assert f"brief {letter}, {name}: " in out
        assert f"  use: {choice} (" in out
    assert out.count("what would change it: ") == 3
    assert "(stand-in)" in out
    assert (run / "figures" / "briefs.png").stat().st_size > 1000
    assert (run / "figures" / "claims.png").exists()


@pytest.mark.slow
def test_the_same_command_changes_nothing(briefs, smoke):
    out, cwd, run = smoke
    names = ("verdict.json", "churn.csv", "chest.csv", "roads.csv", "figures/briefs.png")
    before = [(run / name).read_bytes() for name in names]
    again = briefs("--preset=smoke", cwd=cwd, timeout=600)
    assert again.returncode == 0
    assert [(run / name).read_bytes() for name in names] == before
    assert again.stdout.splitlines()[-1] == out.splitlines()[-1]
