"""The cost of attention as a user runs it, closed forms of its counts, planted verdicts."""

import csv
import json
from functools import partial

import numpy as np
import pytest

from minima.claims.claim import FAIL, PARTIAL, PASS
from minima.runtime.errors import UserError
from parts.attention_cost.claims import judge
from parts.attention_cost.config import MODELS, PRESETS, RNN, TRANSFORMER, AttentionConfig
from parts.attention_cost.config import CostConfig as Cost
from parts.attention_cost.config import NeedleConfig as Needle
from parts.attention_cost.measured import (
    ATTENTION,
    CHUNKED,
    RECURRENT,
    Crossover,
    Step,
    check_memory,
    crossovers,
    layer_flops,
)

TABLES = ("costs", "times", "crossovers", "needles")
FILES = ("verdict.json", "kept.jsonl", "run.flags", *(f"{name}.csv" for name in TABLES))


@pytest.fixture(scope="module")
def attention(python, script):
    return partial(python, script.parent / "attention_cost.py")


@pytest.fixture(scope="module")
def smoke(attention, run_path, tmp_path_factory):
    """The smoke preset, run once: what it printed, where it ran, and the run."""
    cwd = tmp_path_factory.mktemp("attention")
    result = attention("--preset=smoke", cwd=cwd, timeout=290)
    assert (result.returncode, result.stderr.count("rror")) == (0, 0)
    return result.stdout, cwd, run_path(result.stdout, cwd)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_exponents_are_what_they_should_be_at_the_smallest_size(smoke, visible):
    out, _, run = smoke
    assert visible(out)
    verdict = json.loads((run / "verdict.json").read_text())
    assert len(verdict["runs"]) == 1 + 2 * len(MODELS)
    exponents = verdict["exponents"]
    assert 1.9 < exponents[ATTENTION]["flops"] < 2.0
    assert 1.9 < exponents[ATTENTION]["temporary"] < 2.05
    for network in (ATTENTION, CHUNKED):
        assert exponents[network]["chain"] == pytest.approx(0, abs=1e-9)
    assert exponents[CHUNKED]["temporary"] == pytest.approx(1, abs=0.15)
    assert exponents[RECURRENT]["flops"] == pytest.approx(1, abs=0.01)
    counts = {row["network"]: row for row in rows(run / "costs.csv")}
    length = int(counts[RECURRENT]["length"])
    # A product with the inputs, one for each step, one to read out, and as many on the way back.
    chain = int(counts[RECURRENT]["dependent_products"])
    assert chain == pytest.approx(2 * length, abs=6)
    for name in ("costs", "needles", "claims"):
        for suffix in ("png", "svg"):
            assert (run / "figures" / f"{name}.{suffix}").stat().st_size > 10_000
    needles = rows(run / "needles.csv")
    assert [(row["network"], row["distance"]) for row in needles] == [
        (model, distance) for model in MODELS for distance in ("2", "6")
    ]


@pytest.mark.slow
def test_the_same_command_changes_nothing(smoke, attention):
    out, cwd, run = smoke
    before = {name: (run / name).read_bytes() for name in FILES}
    again = attention(f"--flagfile={run / 'run.flags'}", cwd=cwd)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == out
    assert {name: (run / name).read_bytes() for name in FILES} == before


@pytest.mark.slow
def test_plan_only_writes_nothing(attention, tmp_path):
    result = attention("--plan_only", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("needle:48") == len(MODELS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cost": Cost(width=24)}, "--width=24"),
        ({"cost": Cost(widths=(16, 40))}, "--widths=40"),
        ({"needle": Needle(needle_width=8)}, "--needle_width=8"),
        ({"cost": Cost(lengths=(512, 1024))}, "--lengths=512,1024"),
        ({"cost": Cost(lengths=(4096,))}, "--lengths=4096"),
        ({"cost": Cost(chunk=256)}, "--chunk=256"),
        ({"needle": Needle(distances=(4, 49))}, "--distances=4,49"),
        ({"needle": Needle(distances=(4,))}, "--distances=4"),
    ],
)
def test_what_does_not_fit_is_one_line(change, says):
    with pytest.raises(UserError) as caught:
        AttentionConfig(**change)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_a_length_that_fits_no_memory_is_refused_before_it_is_tried():
    check_memory(Cost())
    with pytest.raises(UserError, match=r"--timed_lengths=256,100000000: .* GiB"):
        check_memory(Cost(timed_lengths=(256, 100_000_000)))


def test_a_sweep_for_each_network_and_distance():
    sweeps = AttentionConfig().sweeps()
    assert len(sweeps) == len(MODELS) * 3
    assert sweeps[TRANSFORMER, 16].task.dataset == "needle:16"
    for preset in PRESETS.values():
        assert "seeds" in preset or not preset


# --- closed forms ----------------------------------------------------------------------------


def test_a_layer_of_attention_and_one_of_an_lstm():
    width, length = 32, 50
    heads, scores = width // 16, length**2
    products = 8 * length * width**2 + 4 * scores * width
    softmax = heads * (4 * scores - 2 * length)
    rest = 4 * length * width + 2 * length * width  # biases, the scale of q, the last division
    assert layer_flops(ATTENTION, length, width) == products + softmax + rest
    lstm = length * (16 * width**2 + (8 + 4 + 5) * width)
    assert layer_flops(RECURRENT, length, width) == lstm


@pytest.mark.parametrize("width", [16, 48])
def test_the_crossover_is_the_shortest_length_at_which_attention_is_dearer(width):
    [found] = crossovers(Cost(widths=(width,)))
    before, there = (
        layer_flops(ATTENTION, n, width) - layer_flops(RECURRENT, n, width)
        for n in (found.length - 1, found.length)
    )
    assert before < 0 <= there


# --- verdicts on planted numbers -------------------------------------------------------------


def verdicts_of(exponents=(2.0, 2.0, 1.0), memory=(2.0, 1.0, 1.0), far=99.0, rnn=12.5, lstm=60.0):
    kinds = (ATTENTION, CHUNKED, RECURRENT)
    steps = [
        Step(kind, n, int(100 * n**work), 1, 2 * n if kind == RECURRENT else 16, int(n**room))
        for kind, work, room in zip(kinds, exponents, memory, strict=True)
        for n in (1024, 2048, 4096)
    ]
    means = dict.fromkeys(((m, d) for m in MODELS for d in (4, 48)), lstm)
    means |= {(TRANSFORMER, 4): 99.0, (TRANSFORMER, 48): far, (RNN, 4): rnn, (RNN, 48): rnn}
    spread = np.array([-0.4, -0.2, 0.0, 0.2, 0.4])
    accuracies = {
        (m, d): mean + np.roll(spread, MODELS.index(m) + d) for (m, d), mean in means.items()
    }
    judged = judge(steps, [Crossover(w, 2 * w) for w in (16, 32, 64)], accuracies)
    return {claim.id: verdict.verdict for claim, verdict in judged}


def test_what_is_as_claimed_passes():
    assert set(verdicts_of().values()) == {PASS}


@pytest.mark.parametrize(
    ("planted", "id", "verdict"),
    [
        ({"exponents": (1.7, 2.0, 1.0)}, "attention's work", PARTIAL),
        ({"exponents": (2.0, 2.0, 1.2)}, "an LSTM's work", PARTIAL),
        ({"memory": (2.0, 2.0, 1.0)}, "chunked attention's memory", PARTIAL),
        ({"far": 60.0}, "attention reaches everywhere", FAIL),
        ({"rnn": 40.0}, "a tanh network forgets", FAIL),
        ({"far": 20.0}, "attention beats recurrence far back", FAIL),
        ({"lstm": 10.0}, "gates carry further", FAIL),
    ],
)
def test_what_is_not_does_not(planted, id, verdict):
    assert verdicts_of(**planted)[id] == verdict
