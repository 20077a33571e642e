"""Shortcuts: the smoke preset through the command line, claims on planted guesses, bad input."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minima.claims.claim import FAIL, PASS
from minima.runtime.errors import UserError
from minima.sweep.budgets import Budget
from minima.sweep.config import TrainingConfig
from parts.spurious_correlation.claims import judge
from parts.spurious_correlation.config import (
    COLOURS,
    DRO,
    ERM,
    GREY,
    IRM,
    LAST,
    PRESETS,
    REWEIGHTED,
    RULERS,
    VREX,
    WORDS,
    ColoursConfig,
    CuesConfig,
    SpuriousConfig,
)
from parts.spurious_correlation.measured import (
    BY_TEST,
    BY_VALIDATION,
    Measured,
    Outcome,
    Stage,
)
from parts.spurious_correlation.report import findings, named
from parts.spurious_correlation.sweeps import courses, first, last_layers

SCRIPT = Path(__file__).parents[2] / "experiments" / "spurious_correlation.py"
FILES = ("methods.csv", "strengths.csv", "groups.csv", "cues.csv", "verdict.json")


@pytest.fixture(scope="module")
def smoke(python, run_path, tmp_path_factory):
    """The smoke preset, run twice in one folder."""
    folder = tmp_path_factory.mktemp("spurious")
    done = python(SCRIPT, "--preset=smoke", cwd=folder, timeout=900)
    assert done.returncode == 0, done.stderr
    path = run_path(done.stdout, folder)
    before = contents(path)
    again = python(SCRIPT, "--preset=smoke", cwd=folder, timeout=900)
    assert again.returncode == 0, again.stderr
    return path, done.stdout, before, contents(path)


def contents(path):
    names = (*FILES, "results.csv", "cells.jsonl", "figures/colours.png")
    return {name: (path / name).read_bytes() for name in names}


@pytest.mark.slow
def test_the_smoke_preset_ends_in_verdicts_tables_and_figures(smoke):
    path, out, _, _ = smoke
    assert "coloured_crossed:digits" in out
    verdicts = {v["claim"] for v in json.loads((path / "verdict.json").read_text())["verdicts"]}
    assert {"colours-erm", "colours-invariant", "colours-oracle", "selection-irm"} <= verdicts
    with (path / "methods.csv").open() as file:
        methods = [row["method"] for row in csv.DictReader(file)]
    assert set(methods) == {ERM, REWEIGHTED, DRO, IRM, VREX, GREY, LAST}
    with (path / "groups.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(float(r["low"]) <= float(r["accuracy_percent"]) <= float(r["high"]) for r in rows)
    assert (path / "figures" / "claims.svg").exists()


@pytest.mark.slow
def test_the_same_command_changes_nothing(smoke):
    _, _, before, after = smoke
    assert before == after


# --- planted guesses ----------------------------------------------------------------------------

N = 400
_NOISE, _DISAGREE = {COLOURS: 0.25}, {COLOURS: 0.15}


def stage(cue):
    """Half of each class; a drawn test set in which every tenth cue conflicts."""
    truth = np.arange(N, dtype=np.int32) % 2
    there = truth ^ (np.arange(N) % 20 < 2)
    coin = np.random.default_rng(3).integers(0, 2, N).astype(np.int32)
    disagree = _DISAGREE.get(cue, 0.05)
    return Stage(cue, truth, _NOISE.get(cue, 0.0), disagree, truth, there, {"a coin": coin})


def guesses(truth, follows, knows=0.96, seeds=5):
    """Networks that follow the cue so often, and else the content, of which they know so much."""
    rng, n = np.random.default_rng(0), len(truth)
    found = np.empty((seeds, 3, n), np.int32)
    for seed in range(seeds):
        content = truth ^ (rng.random(n) >= knows)
        lean = rng.random(n) < follows
        for there in (0, 1):
            found[seed, there] = np.where(lean, there, content)
        found[seed, 2] = np.where(lean, rng.integers(0, 2, n), content)
    return found


def world(erm=0.95, invariant=0.05, blind=0.9, dro=0.95, remedied=0.1, knows=0.96, weak_dro=0.6):
    """Outcomes of all methods that follow cues so often."""
    outcomes, chosen = [], {}

    def add(cue, method, setting, follows, strength=float("nan")):
        of = stage(cue)
        outcomes.append(Outcome(of, method, setting, guesses(of.truth, follows, knows), strength))

    for method, follows in ((ERM, erm), (REWEIGHTED, remedied), (DRO, dro), (LAST, remedied)):
        add(COLOURS, method, "L2 0.003", follows)
    add(COLOURS, GREY, "L2 0.003", 0.0)
    for method in (IRM, VREX):
        chosen[method, BY_VALIDATION] = len(outcomes)
        add(COLOURS, method, "penalty 10", blind, 10.0)
        chosen[method, BY_TEST] = len(outcomes)
        add(COLOURS, method, "penalty 1000", invariant, 1000.0)
    for cue in (RULERS, WORDS):
        for method in (ERM, REWEIGHTED, DRO, LAST):
            for setting, lean in (("L2 0", weak_dro), ("L2 0.03", remedied)):
                add(cue, method, setting, erm if method == ERM else lean)
    return Measured(outcomes, (10, 11, 12, 13, 14), chosen)


def verdicts(found):
    return {claim.id: verdict.verdict for claim, verdict in judge(found, small=True)}


def test_planted_shortcuts_and_remedies_are_found():
    found = verdicts(world())
    assert set(found.values()) == {PASS}
    assert len(found) == 22


def test_a_world_without_shortcuts_fails_each_claim():
    plain = world(
        erm=0.0, invariant=0.9, blind=0.05, dro=0.0, remedied=0.9, weak_dro=0.1, knows=0.7
    )
    found = verdicts(plain)
    assert {name for name, verdict in found.items() if verdict == PASS} <= {"finder"}
    assert found["rulers-dro-l2"] == FAIL
    assert found["colours-oracle"] == found["colours-invariant"] == FAIL


def test_accuracy_in_expectation_is_that_of_very_many_draws():
    of = stage(COLOURS)
    outcome = Outcome(of, ERM, "", guesses(of.truth, 0.5))
    rng, many = np.random.default_rng(1), 2000
    labels = of.truth ^ (rng.random((many, N)) < of.noise)
    there = labels ^ (rng.random((many, N)) < 0.9)
    guess = np.where(there, outcome.guesses[0, 1], outcome.guesses[0, 0])
    assert outcome.reversed[0] == pytest.approx(100 * np.mean(guess == labels), abs=0.2)
    follower = Outcome(of, ERM, "", guesses(of.truth, 1.0))
    np.testing.assert_allclose(follower.shared, 85)
    np.testing.assert_allclose(follower.reversed, 10)
    np.testing.assert_allclose(follower.lean, 100)
    np.testing.assert_allclose(follower.worst, 0)
    oracle = Outcome(of, GREY, "", guesses(of.truth, 0.0, knows=1.0))
    np.testing.assert_allclose(oracle.reversed, 75)
    np.testing.assert_allclose(oracle.without, 75)


def test_the_finder_is_told_of_the_drawn_cue_and_of_decoys():
    of = stage(RULERS)
    found = Outcome(of, ERM, "", guesses(of.truth, 0.9)).found(0)
    assert [cue.name for cue in found] == ["ruler", "a coin"]
    assert found[0].low > 0.5
    assert found[1].low < 0 < found[1].high


def test_penalties_are_shown_at_the_strengths_that_were_chosen():
    found = world()
    shown = [(each.method, each.strength, how) for each, how in named(found) if how]
    assert shown == [
        (method, strength, how)
        for method in (IRM, VREX)
        for strength, how in ((10.0, BY_VALIDATION), (1000.0, BY_TEST))
    ]
    said = findings(found, judge(found, small=False), "run")
    assert len(said.tables["strengths"].rows) == 4
    assert {"colours", "shared", "claims"} == set(said.figures)
    assert all(picture.png.startswith(b"\x89PNG") for picture in said.figures.values())


# --- what is trained ------------------------------------------------------------------------------


def test_methods_differ_in_their_objective_and_know_what_they_may():
    sweeps = first(SpuriousConfig())
    assert len(sweeps) == 12
    assert sweeps[COLOURS, IRM].task.dataset == "coloured:digits"
    assert sweeps[COLOURS, REWEIGHTED].task.dataset == "coloured_crossed:digits"
    assert sweeps[COLOURS, GREY].task.dataset == "grey:digits"
    assert sweeps[COLOURS, IRM].grid.seeds == (0, 1, 10, 11, 12, 13, 14)
    assert sweeps[RULERS, DRO].training.group_dro == 0.1
    erm, dro = sweeps[RULERS, ERM], sweeps[RULERS, DRO]
    assert replace(dro, training=erm.training) == erm
    heads = last_layers(SpuriousConfig(), {cue: f"{cue}/run" for cue in courses(SpuriousConfig())})
    assert heads[WORDS, LAST].branch.initial_weights == "words/run"
    assert heads[WORDS, LAST].task.trainable == "head"
    assert heads[COLOURS, LAST].training.reweighting == 1.0


def test_rulers_and_words_can_be_left_out():
    config = SpuriousConfig(cues=CuesConfig(rulers="none", words="none"))
    assert {cue for cue, _ in first(config)} == {COLOURS}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colours": ColoursConfig(seeds=(0, 1))}, "--tuning_seeds=2: seed 0 is one of --seeds=2"),
        ({"colours": ColoursConfig(seeds=(5,))}, "intervals need 2 or more"),
        ({"colours": ColoursConfig(irm_strengths=(1.0,))}, "--irm_strengths=1: there is nothing"),
        ({"colours": ColoursConfig(warmup_steps=400)}, "never be in full force"),
        ({"training": TrainingConfig(budget=Budget(epochs=3))}, "use updates alone"),
        (
            {"training": TrainingConfig(budget=Budget(steps=400), group_dro=0.1)},
            "--group_dro: the runs differ in it",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(changes, words):
    with pytest.raises(UserError) as caught:
        SpuriousConfig(**changes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_presets_are_configs():
    assert set(PRESETS) == {"smoke", "laptop", "gpu", "pod"}
