"""Vanishing gradients as a user runs it, and verdicts on planted memories and gradients."""

import csv
import json
from functools import partial

import numpy as np
import pytest

from minima.claims.claim import FAIL, INCONCLUSIVE, PASS
from minima.runtime.errors import UserError
from parts.vanishing_gradients.carrying import Reach
from parts.vanishing_gradients.claims import judge
from parts.vanishing_gradients.config import PRESETS, MemoryConfig, VanishingConfig
from parts.vanishing_gradients.memories import Explosion, Memory

FILES = ("verdict.json", "memory.csv", "gradients.csv", "clipping.csv", "results.csv")


@pytest.fixture(scope="module")
def vanishing(python, script):
    return partial(python, script.parent / "vanishing_gradients.py", timeout=550)


@pytest.fixture(scope="module")
def smoke(vanishing, run_path, tmp_path_factory):
    """The smoke preset, run once: what it printed, where it ran, and the run."""
    cwd = tmp_path_factory.mktemp("vanishing")
    result = vanishing("--preset=smoke", cwd=cwd)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout, cwd, run_path(result.stdout, cwd)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_every_network_is_one_program_and_all_is_written(smoke):
    out, _, run = smoke
    verdict = json.loads((run / "verdict.json").read_text())
    assert len(verdict["runs"]) == 2 + 1 + 1
    for name in verdict["runs"].values():
        assert json.loads((run.parent / name / "run.json").read_text())["compilations"] == 1
    for name in (*FILES, "figures/memory.png", "figures/memory.svg", "figures/claims.png"):
        assert (run / name).stat().st_size > 50
    found = rows(run / "memory.csv")
    assert [row["task"] for row in found] == ["adding"] * 2 + ["copying"]
    states = [(row["network"], row["state"]) for row in rows(run / "gradients.csv")]
    assert len(states) == len(set(states)) == 2 * 2
    assert "verdicts, failures first" in out


@pytest.mark.slow
def test_what_is_said_is_what_the_cells_recorded(smoke):
    _, _, run = smoke
    runs = json.loads((run / "verdict.json").read_text())["runs"]
    cells = (run.parent / runs["adding/lstm/12"] / "cells.jsonl").read_text().splitlines()
    losses = {c["cell"]["seed"]: c["test_loss"] for c in map(json.loads, cells)}
    [row] = [
        row
        for row in rows(run / "memory.csv")
        if (row["network"], row["length"]) == ("LSTM, forget bias 1", "12")
    ]
    assert float(row["loss"]) == pytest.approx((losses[201] + losses[202]) / 2)


@pytest.mark.slow
def test_the_same_command_changes_nothing(smoke, vanishing):
    out, cwd, run = smoke
    before = {name: (run / name).read_bytes() for name in FILES}
    again = vanishing(f"--flagfile={run / 'run.flags'}", cwd=cwd)
    assert (again.returncode, again.stdout) == (0, out)
    assert {name: (run / name).read_bytes() for name in FILES} == before


# --- verdicts on planted worlds --------------------------------------------------------------


def memory(model, losses, task="adding", length=100):
    losses = np.array(losses, float)
    curves = np.tile(losses[:, None], (1, 3))
    return Memory(task, model, length, 0.01, 0, losses, losses, np.arange(3.0), curves)


def reach(model, slope, gain, trained=False):
    noise = 0.002 * np.array([-1, 0, 1])
    profile = slope * np.tile(np.arange(9.0), (3, 1))
    return Reach(model, trained, profile, slope + noise, gain + noise)


EXPLODED = Explosion((0.1,), np.full((1, 9), 0.02), np.full((1, 9), np.nan))


def verdicts(found=(), reached=(), exploded=EXPLODED):
    found = list(found) or [memory("lstm", [0.001, 0.002, 0.001])]
    return {claim.id: verdict.verdict for claim, verdict in judge(found, reached, exploded)}


def test_who_remembers_is_told_from_who_does_not():
    solved, not_solved = [0.001, 0.002, 0.001], [0.166, 0.167, 0.168]
    found = verdicts([memory("rnn", not_solved), memory("lstm", solved)])
    assert found["LSTM solves length 100"] == PASS
    assert found["tanh RNN stays at the baseline at length 100"] == PASS
    assert found["baseline of the adding problem"] == PASS
    found = verdicts([memory("rnn", solved), memory("lstm", not_solved)])
    assert found["LSTM solves length 100"] == FAIL
    assert found["tanh RNN stays at the baseline at length 100"] != PASS
    found = verdicts([memory("lstm", [0.001, 0.002, np.nan])])
    assert found["LSTM solves length 100"] == INCONCLUSIVE


def test_a_forget_bias_and_copying_are_compared_by_seed():
    high, low = [0.15, 0.16, 0.15], [0.01, 0.02, 0.01]
    found = verdicts(
        [
            memory("lstm_bias0", high),
            memory("lstm", low),
            memory("rnn", [2.0, 2.1, 2.0], "copying", 25),
            memory("transformer", [0.1, 0.2, 0.1], "copying", 25),
        ]
    )
    assert found["LSTM, forget bias 1 below LSTM, forget bias 0 at length 100"] == PASS
    assert found["transformer copies better than a tanh RNN at length 25"] == PASS


@pytest.mark.parametrize(("off", "verdict"), [(1.0, PASS), (1.2, FAIL)])
def test_a_decay_is_judged_against_the_gain(off, verdict):
    found = verdicts(reached=[reach("rnn", -0.5 * off, -0.5), reach("lstm", 0.3 * off, 0.3, True)])
    assert found["decay of gradients, tanh RNN, fresh"] == verdict
    assert found["decay of gradients, LSTM, forget bias 1, trained"] == verdict
    kept = verdicts(reached=[reach("irnn", off - 1, 0.0)])
    assert kept["gradients kept, IRNN, fresh"] == verdict


def test_clipping_is_judged_by_who_diverged():
    found = verdicts()
    assert found["exploding gradients"] == found["clipping saves them"] == PASS
    calm = Explosion((0.1,), np.full((1, 9), np.nan), np.full((1, 9), 0.1))
    found = verdicts(exploded=calm)
    assert found["exploding gradients"] == found["clipping saves them"] == FAIL
    assert found["clipped descent trains"] == INCONCLUSIVE


# --- before anything is trained --------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"models": ("mlp",)}, "--models=mlp: gradients are followed through rnn"),
        ({"models": ()}, "--models=none"),
        ({"seeds": (0, 7)}, "--seeds=0,7: 0 is one of --choosing_seeds"),
        ({"seeds": (7,)}, "--seeds: one seed has no interval"),
        ({"initial_seeds": 1}, "--initial_seeds=1"),
    ],
)
def test_what_nothing_could_be_said_of_is_refused(fields, says):
    with pytest.raises(UserError) as caught:
        VanishingConfig(MemoryConfig(**fields))
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_a_flag_that_does_not_fit_is_one_line(vanishing, one_line, tmp_path):
    result = vanishing("--preset=smoke", "--label_noise=0.1", "--plan_only", cwd=tmp_path)
    assert result.returncode == 2
    assert "--label_noise=0.1: goes with classes" in one_line(result.stderr)
    assert not list(tmp_path.iterdir())


def test_every_preset_has_the_networks_that_are_judged():
    assert set(PRESETS) == {"smoke", "laptop", "gpu", "pod"}
    sweeps = VanishingConfig().sweeps()
    assert {"adding/rnn/100", "adding/lstm/100", "clipping"} <= set(sweeps)
    assert len({str(sweep) for sweep in sweeps.values()}) == len(sweeps)
