"""Objectives over groups: the plain loops' numbers, axes of a program, closed forms, refusals."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plain_reference import compare

from minima.runtime.errors import UserError
from minima.sweep import group_objectives
from minima.sweep.branch import _taken_up, from_arrays, to_arrays
from minima.sweep.config import SweepConfig, TrainingConfig
from minima.sweep.description import describe
from minima.sweep.group_objectives import Batch
from minima.sweep.optimizers import Features, Hyper
from minima.sweep.plain_loop import plain_losses
from minima.sweep.program import blank_initial
from minima.tasks.objectives import cross_entropy

IRM = {"irm_penalty": 30.0, "penalty_warmup_examples": 300, "weight_decay": 0.01}
DRO = {"group_dro": 0.5, "reweighting": 0.7, "sharpness_aware": "sam", "rho": 0.1}
ODDS = {"parity_penalty": 3.0, "parity": "equalized_odds", "vrex_penalty": 2.0}
ROWS = {
    "group DRO, reweighted, with SAM": DRO,
    "all penalties, which begin at 1": IRM | ODDS | {"dropout": 0.2},
    "reweighted alone": {"reweighting": 1.0, "batch_sizes": (13,), "microbatch": 8},
}


@pytest.fixture(scope="module")
def grouped(dataset):
    """`dataset` in three groups of unlike sizes, which say something of the label."""
    rng = np.random.default_rng(5)

    def split(part, weights=None):
        groups = np.where(
            rng.random(len(part)) < 0.3, part.labels % 3, rng.integers(0, 3, len(part))
        )
        return dataclasses.replace(part, groups=groups.astype(np.int32), weights=weights)

    return dataset.remade(split(dataset.train), split(dataset.validation), split(dataset.test))


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_float64_cells_equal_the_plain_loops(make, run_lanes, grouped, row):
    with jax.enable_x64(True):
        plan = make(
            **{"learning_rates": (0.01,), "seeds": (3,), "budget": "12steps", "data": grouped}
            | {"evaluations": 12, "lanes": 1, "dtype": "float64", "batch_sizes": (96,)}
            | {"devices": 1}
            | ROWS[row]
        )
        layout = dataclasses.replace(plan.layout, lanes=len(plan.cells))
        plan = dataclasses.replace(plan, watched=12, layout=layout)
        lanes, report = run_lanes(plan, limit=7)
        compare(plan, lanes, report, updates=12)
        losses = list(plain_losses(plan, plan.cells[-1]))
        np.testing.assert_allclose(report.trajectory[len(plan.cells) - 1, :, 0], losses, atol=1e-10)


# --- closed forms -------------------------------------------------------------------------------

LOGITS = np.array([[0.0, 1.0], [0.5, -0.5], [2.0, 0.0], [0.0, 3.0], [1.0, 1.0]], np.float32)
LABELS = np.array([1, 0, 1, 1, 0], np.int32)
GROUPS = np.array([0, 0, 1, 1, 1], np.int32)


def value(groups=3, seen=0.0, q=None, weights=(1, 1, 1, 1, 1), of=GROUPS, parity=None, **strengths):
    """The objective of five examples in two of three groups."""
    switches = {name: True for name in strengths if name != "penalty_warmup_examples"}
    if parity:
        switches["parity"] = parity
    hyper = Hyper(**dict.fromkeys(Hyper._fields, jnp.zeros(())))
    hyper = hyper._replace(**{name: jnp.asarray(float(x)) for name, x in strengths.items()})
    task = SimpleNamespace(mean_losses=cross_entropy)
    recipe = SimpleNamespace(task=task, features=Features(**switches), groups=groups)
    batch = Batch(
        jnp.asarray(LOGITS),
        jnp.asarray(LABELS),
        jnp.asarray(weights, jnp.float32),
        jnp.asarray(of),
        None,
    )
    found, adversary = group_objectives.objective(recipe, hyper, jnp.asarray(seen), q, batch)
    return float(found), adversary


def by_hand():
    losses = np.log(np.exp(LOGITS).sum(1)) - LOGITS[np.arange(5), LABELS]
    p = np.exp(LOGITS[:, 1]) / np.exp(LOGITS).sum(1)
    slopes = (p - LABELS) * (LOGITS[:, 1] - LOGITS[:, 0])  # of log(1 + exp(-margin)), scaled
    return losses, p, slopes


def of_groups(x):
    return np.array([x[GROUPS == 0].mean(), x[GROUPS == 1].mean()])


def test_penalties_are_those_of_their_papers():
    losses, p, slopes = by_hand()
    mean, risks = losses.mean(), of_groups(losses)
    assert value(irm_penalty=0.5)[0] == pytest.approx(
        mean + 0.5 * (of_groups(slopes) ** 2).mean(), rel=1e-5
    )
    assert value(vrex_penalty=0.5)[0] == pytest.approx(mean + 0.5 * risks.var(), rel=1e-5)
    gap = of_groups(p) @ (1, -1)
    assert value(parity_penalty=0.5)[0] == pytest.approx(mean + 0.5 * gap**2, rel=1e-5)


def test_parity_looks_at_whom_it_is_told_to():
    losses, p, _ = by_hand()
    ones = [p[(g == GROUPS) & (LABELS == 1)].mean() for g in (0, 1)]
    zeros = [p[(g == GROUPS) & (LABELS == 0)].mean() for g in (0, 1)]
    gaps = (ones[0] - ones[1]) ** 2, (zeros[0] - zeros[1]) ** 2
    found = value(parity_penalty=1.0, parity="equal_opportunity")[0]
    assert found == pytest.approx(losses.mean() + gaps[0], rel=1e-5)
    found = value(parity_penalty=1.0, parity="equalized_odds")[0]
    assert found == pytest.approx(losses.mean() + np.mean(gaps), rel=1e-5)


def test_strong_penalties_divide_the_objective_after_they_have_begun_at_1():
    losses, _, _ = by_hand()
    variance = of_groups(losses).var()
    strong = {"vrex_penalty": 100.0, "penalty_warmup_examples": 50}
    assert value(seen=49.0, **strong)[0] == pytest.approx(losses.mean() + variance, rel=1e-5)
    assert value(seen=50.0, **strong)[0] == pytest.approx(losses.mean() / 100 + variance, rel=1e-5)


def test_the_adversary_climbs_the_worst_group_and_leaves_absent_ones_behind():
    losses, _, _ = by_hand()
    start = group_objectives.begin(3, jnp.float32)
    found, q = value(q=start, group_dro=2.0)
    raised = np.exp(2 * np.array([*of_groups(losses), 0.0]))
    np.testing.assert_allclose(q, raised / raised.sum(), rtol=1e-5)
    assert found == pytest.approx(float(q[:2] @ of_groups(losses)), rel=1e-5)
    assert value(q=start, group_dro=0.0)[0] == pytest.approx(losses.mean(), rel=1e-6)


def test_padding_has_no_part_in_anything():
    whole = value(
        irm_penalty=1.0, vrex_penalty=1.0, parity_penalty=1.0, of=np.array([0, 0, 1, 1, 2])
    )
    padded = value(
        irm_penalty=1.0,
        vrex_penalty=1.0,
        parity_penalty=1.0,
        weights=(1, 1, 1, 1, 0),
    )
    losses, p, slopes = by_hand()
    first = (
        [x[:2].mean() for x in (losses, p, slopes)],
        [x[2:4].mean() for x in (losses, p, slopes)],
    )
    risks, scores, slope = map(np.array, zip(*first, strict=True))
    penalties = (slope**2).mean() + risks.var() + (scores[0] - scores[1]) ** 2
    assert padded[0] == pytest.approx((losses[:4].mean() + penalties) / 3, rel=1e-5)
    assert padded[0] != pytest.approx(whole[0], rel=1e-3)


# --- plans ----------------------------------------------------------------------------------------

SMALL = {"batch_sizes": (32,), "learning_rates": (0.05,), "seeds": (0, 1), "budget": "20steps"}
SMALL |= {"evaluations": 2, "lanes": 1}


@pytest.mark.slow
def test_a_strength_of_nothing_is_plain_training_beside_others_in_one_program(
    make, run_cells, grouped
):
    axes = {"axes": (("group_dro", (0.0, 2.0)),)}
    plan = make(**SMALL | axes | {"data": grouped})
    assert len(plan.programs) == 1
    assert plan.recipe.widths == (32,)
    found, plain = run_cells(plan), run_cells(make(**SMALL | {"data": grouped}))
    for record in plain.values():
        cell = record["cell"]
        still, moved = (
            found[plan.grid.index(cell | {"group_dro": x})]["test_loss"] for x in (0.0, 2.0)
        )
        assert still == pytest.approx(record["test_loss"], rel=1e-4)
        assert moved != pytest.approx(record["test_loss"], rel=1e-2)


def test_states_keep_the_adversary_and_branches_take_it_up(make, grouped):
    like = blank_initial(make(**SMALL | {"data": grouped, "group_dro": 0.1}).recipe)
    plain = blank_initial(make(**SMALL | {"data": grouped}).recipe)
    assert plain.adversary is None
    kept = like._replace(adversary=np.array([0.2, 0.3, 0.5], np.float32))
    back = from_arrays(to_arrays(kept), like)
    np.testing.assert_array_equal(back.adversary, kept.adversary)
    np.testing.assert_array_equal(_taken_up(to_arrays(kept), like).adversary, kept.adversary)
    assert _taken_up(to_arrays(kept), plain).adversary is None
    np.testing.assert_allclose(_taken_up(to_arrays(plain), like).adversary, 1 / 3)


def test_one_program_per_batch_size_but_not_for_weights_alone(make, grouped):
    sizes = SMALL | {"batch_sizes": (16, 32), "data": grouped}
    assert len(make(**sizes, reweighting=1.0).programs) == 1
    assert len(make(**sizes, irm_penalty=1.0).programs) == 2


def test_leaves_that_are_left_alone_change_no_id():
    identity = SweepConfig().identity()["training"]
    assert not {"group_dro", "irm_penalty", "parity", "reweighting"} & set(identity)
    config = SweepConfig(training=TrainingConfig(vrex_penalty=2.0))
    assert SweepConfig.from_identity(config.identity()) == config


def test_the_description_says_what_is_on(make, grouped):
    words = describe(make(**SMALL | {"data": grouped} | IRM | {"parity_penalty": 2.0}))
    assert "IRM penalty 30, demographic parity penalty 2, in full after 300 examples" in words
    words = describe(make(**SMALL | {"data": grouped, "group_dro": 0.1, "reweighting": 0.5}))
    assert "group DRO at 0.1, examples reweighted by 0.5" in words


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"irm_penalty": 1.0}, "--irm_penalty=1: compares groups, --dataset=blobs has none"),
        ({"reweighting": 1.0}, "--reweighting=1: --dataset=blobs has neither weights nor groups"),
        ({"axes": (("group_dro", (0.0, 1.0)),)}, "--axes=group_dro=…: compares groups"),
        ({"group_dro": 1.0, "microbatch": 8}, "--microbatch=8: --group_dro=1 has micro-steps"),
        ({"parity": "equalized_odds"}, "--parity=equalized_odds: does nothing without"),
        ({"penalty_warmup_examples": 9}, "--penalty_warmup_examples: does nothing without"),
        (
            {"vrex_penalty": 1.0, "sharpness_aware": "sam", "sam_examples": 8},
            "--sam_examples=8: --vrex_penalty=1 looks at the whole batch",
        ),
        ({"vrex_penalty": 1e39}, "--vrex_penalty: 1e+39 is outside what float32 holds"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(make, asked, words):
    with pytest.raises(UserError) as caught:
        make(**SMALL | asked)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "asked", "words"),
    [
        ("grouped", {"milestones": (1.0,), "batch_factor": 2}, "--batch_factor=2: --irm_penalty=1"),
        ("sequences", {"model": "lstm"}, "--dataset=sequences has one at every position"),
        ("numbers", {"loss": "squared_error"}, "--dataset=numbers has numbers for labels"),
        ("dataset", {}, "--dataset=blobs has one; use one that has two or more"),
    ],
)
def test_data_that_do_not_fit_are_refused_in_a_line(make, request, data, asked, words):
    found = request.getfixturevalue(data)
    if data != "grouped":
        several = np.arange(len(found.train)) % (1 if data == "dataset" else 2)
        found = found.remade(dataclasses.replace(found.train, groups=several.astype(np.int32)))
    penalty = {"parity_penalty": 1.0} if data == "numbers" else {"irm_penalty": 1.0}
    with pytest.raises(UserError) as caught:
        make(**SMALL | penalty | asked | {"data": found})
    assert words in str(caught.value)
