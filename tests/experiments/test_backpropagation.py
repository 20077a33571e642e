"""Backpropagation as a user runs it; checks that find planted errors; claims on planted numbers."""

import csv
import json
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minima.claims.claim import FAIL, PARTIAL, PASS
from parts.backpropagation.checks import LARGEST, RUNGS, Check, compare
from parts.backpropagation.claims import judge
from parts.backpropagation.config import PRESETS, BackpropagationConfig, PriceConfig
from parts.backpropagation.price import Differences, Price
from parts.backpropagation.signal import KINDS, TANH, Signal, error_norms, network

FILES = ("verdict.json", "prices.csv", "checks.csv", "signal.csv", "kept.jsonl", "run.flags")
FIGURES = ("price", "checks", "signal", "claims")


@pytest.fixture(scope="module")
def backpropagation(python, script):
    return partial(python, script.parent / "backpropagation.py")


@pytest.fixture(scope="module")
def smoke(backpropagation, run_path, tmp_path_factory):
    """The smoke preset, run once: what it printed, where it ran, and the run."""
    cwd = tmp_path_factory.mktemp("backpropagation")
    result = backpropagation("--preset=smoke", cwd=cwd, timeout=280)
    assert (result.returncode, result.stderr.count("rror")) == (0, 0)
    return result.stdout, cwd, run_path(result.stdout, cwd)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_every_family_is_priced_and_checked(smoke, visible):
    out, _, run = smoke
    assert visible(out)
    verdict = json.loads((run / "verdict.json").read_text())
    assert len(verdict["verdicts"]) == 4 + 2 + 6
    assert [row["family"] for row in rows(run / "prices.csv")] == ["linear", "mlp"]
    for row in rows(run / "prices.csv"):
        assert 1.5 < float(row["ratio"]) < 3
        assert int(row["both_chain"]) == 2 * int(row["loss_chain"])
    for row in rows(run / "checks.csv"):
        assert float(row["relative_error"]) < 1e-8
    found = rows(run / "differences.csv")
    for row in found:
        # A loss twice for every weight, and what moves the weight.
        passes, weights = float(row["differences_passes"]), int(row["weights"])
        assert 2 * weights < passes < 2.2 * weights
        assert float(row["relative_distance"]) < 1e-6
    assert len(rows(run / "signal.csv")) == 2 * len(KINDS)
    for name in FIGURES:
        for suffix in ("png", "svg"):
            assert (run / "figures" / f"{name}.{suffix}").stat().st_size > 10_000


@pytest.mark.slow
def test_the_same_command_changes_nothing(smoke, backpropagation):
    out, cwd, run = smoke
    before = {name: (run / name).read_bytes() for name in FILES}
    again = backpropagation(f"--flagfile={run / 'run.flags'}", cwd=cwd)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == out
    assert {name: (run / name).read_bytes() for name in FILES} == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--families=mlp,perceptron", "perceptron"),
        ("--families=mlp,mlp", "twice"),
        ("--widths=4", "--widths=4"),
        ("--depths=8", "--depths=8"),
        ("--weights_checked=0", "--weights_checked"),
    ],
)
def test_what_does_not_fit_is_one_line(backpropagation, one_line, tmp_path, flag, says):
    result = backpropagation(flag, cwd=tmp_path, timeout=60)
    assert result.returncode == 2
    assert says in one_line(result.stderr)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_plan_only_writes_nothing(backpropagation, tmp_path):
    result = backpropagation("--plan_only", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "transformer, language" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("run: runs/backpropagation/")
    assert not list(tmp_path.iterdir())


def test_presets_set_what_there_is():
    assert set(PRESETS) == {"smoke", "laptop", "gpu", "pod"}
    assert BackpropagationConfig().price.families == PriceConfig().families


# --- checks that find errors -----------------------------------------------------------------


STEPS = LARGEST * 0.25 ** np.arange(RUNGS)


def ladder(function, places):
    """Central differences of a function of one number, (places, rungs)."""
    return np.array([(function(x + STEPS) - function(x - STEPS)) / (2 * STEPS) for x in places])


def test_right_gradients_pass_and_a_small_error_shows():
    places = np.array([0.3, -0.8, 2.0])
    differences = ladder(np.sin, places)
    error, weights, kinks = compare(np.cos(places), differences, 0)
    assert (weights, kinks) == (3, 0)
    assert error < 1e-11
    wrong = np.cos(places) * [1, 1 + 1e-5, 1]
    assert 1e-6 < compare(wrong, differences, 0)[0] < 1e-5


def test_a_kink_nearby_is_stepped_around_and_one_at_the_weight_is_left_out():
    def bent(x):
        return np.where(x > 0, 3 * x, x) + np.sin(x)

    near = np.array([1e-4, -1e-4, 0.5])
    slopes = np.cos(near) + np.where(near > 0, 3, 1)
    error, weights, kinks = compare(slopes, ladder(bent, near), 0)
    assert (weights, kinks) == (3, 0)
    assert error < 1e-9
    upon = np.array([1e-9, 0.5])
    error, weights, kinks = compare(np.cos(upon) + 3, ladder(bent, upon), 0)
    assert (weights, kinks) == (1, 1)
    assert error < 1e-9


def test_a_tensor_without_gradient_is_silent_and_a_false_gradient_there_is_not():
    flat = ladder(np.zeros_like, np.zeros(3))
    assert compare(np.zeros(3), flat, 1e-12) is None
    with np.errstate(divide="ignore"):
        assert compare(np.ones(3), flat, 1e-12)[0] == np.inf


# --- the error signal ------------------------------------------------------------------------


@pytest.mark.slow
def test_the_signal_is_the_derivative_by_what_goes_into_the_units():
    found = network(TANH, 2, 16)
    params, _ = found.model("float32").init(jax.random.key(3))
    inputs, labels = found.batch(4, "float32")
    first, second = (params["hidden"][i] for i in (0, 1))

    def loss(shifts, x, label):
        hidden = jnp.tanh(x @ first["kernel"] + first["bias"] + shifts[0])
        hidden = jnp.tanh(hidden @ second["kernel"] + second["bias"] + shifts[1])
        logits = hidden @ params["readout"]["kernel"] + params["readout"]["bias"]
        return -jax.nn.log_softmax(logits)[label]

    zeros = jnp.zeros((2, 16))
    slopes = jax.vmap(jax.grad(loss), (None, 0, 0))(zeros, inputs, labels)
    expected = np.sqrt(np.mean(np.sum(np.square(slopes), axis=2), axis=0))
    np.testing.assert_allclose(error_norms(found, [3], 4)[0], expected, rtol=1e-4)


# --- verdicts on planted numbers -------------------------------------------------------------


PRICE = Price("mlp", 100, 1000, 2900, 2, 4, 1e-3, 3e-3)


def verdicts_of(price=PRICE, growth=1.0, error=1e-9, halvings=2.0):
    differences = [
        Differences(w, 1000, 2900, int(2000 * w**growth), 1e-3, 3e-3, 1.0, 1e-7)
        for w in (10, 100, 1000)
    ]
    signals = []
    for kind in KINDS:
        for depth in (2, 4):
            lost = halvings * depth / 4 * (kind == TANH) + 0.01 * np.arange(6)
            norms = 2.0 ** (-lost[:, None] * np.linspace(1, 0, depth)[None])
            signals.append(Signal(kind, norms))
    judged = judge([price], [Check("mlp", error, 4, 24, 0, 0)], differences, signals)
    return {claim.id: verdict.verdict for claim, verdict in judged}


def test_what_is_as_claimed_passes_but_for_the_lessons_one_pass():
    found = verdicts_of()
    assert found.pop("one more pass") == PARTIAL
    assert set(found.values()) == {PASS}
    assert verdicts_of(replace(PRICE, both=2200))["one more pass"] == PASS


@pytest.mark.parametrize(
    ("planted", "id", "verdict"),
    [
        ({"price": replace(PRICE, both=3500)}, "three passes at most", FAIL),
        ({"growth": 0.5}, "one by one", PARTIAL),
        ({"error": 1e-5}, "mlp: right", FAIL),
        ({"halvings": -2.0}, "tanh loses the signal", FAIL),
        ({"halvings": -2.0}, "the deeper the less", FAIL),
    ],
)
def test_what_is_not_does_not(planted, id, verdict):
    assert verdicts_of(**planted)[id] == verdict
