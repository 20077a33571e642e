from dataclasses import replace

import numpy as np
import pytest

from minima.claims.scaling_claims import steps_table
from minima.claims.worlds import PLANES, World, _logit_of_mean

WORLD = World(batch_sizes=(8, 32, 128), num_test=300, reporting=4)


def test_draws_are_the_same_for_the_same_seed():
    first, second, other = WORLD.draw(3), WORLD.draw(3), WORLD.draw(4)
    for name in PLANES:
        a, b, c = (e.planes[name] for e in (first, second, other))
        np.testing.assert_array_equal(a.test, b.test)
        np.testing.assert_array_equal(a.validation, b.validation)
        np.testing.assert_array_equal(a.hits(0, 5), b.hits(0, 5))
        assert (a.test != c.test).any()
    np.testing.assert_array_equal(
        first.curves.validation_accuracy, second.curves.validation_accuracy
    )


def test_test_accuracy_is_that_of_the_hits():
    plane = replace(WORLD, cliff=8.0).draw(0).planes["epochs"]
    for b in range(3):
        for r in range(len(plane.learning_rates)):
            hits = plane.hits(b, r)
            failed = np.isnan(plane.test[b, r])
            np.testing.assert_array_equal(hits[~failed].mean(1), plane.test[b, r][~failed])
            assert not hits[failed].any()


def test_causes_add_up():
    world = World(
        batch_sizes=(8, 32, 128), curvature=1, slowness=2, enough=12_800, benefit=0.5, grown=1
    )
    rates = np.log2(world.learning_rates)
    truth = world.truth("epochs")
    best = [int(row.argmax()) for row in truth]
    assert rates[best].tolist() == [-6, -4, -2]
    assert truth.max(1) == pytest.approx([90, 90 - 4 - 1, 90 - 8 - 2])
    assert world.truth("updates").max(1) == pytest.approx([90, 90 - 2])
    assert world.truth("infinite_updates").max(1) == pytest.approx([90, 90])
    assert truth[0, best[0] + 2] == pytest.approx(90 - 4)
    assert world.truth("grown") - world.truth("decayed") == pytest.approx(np.ones((1, 12)))
    assert world.rows("epochs")[1] == (12_800, 3200, 800)
    assert world.rows("updates") == ((8, 128), (12_800, 12_800))


def test_seeds_and_examples_average_to_the_truth():
    world = replace(
        WORLD, reporting=100, num_test=20_000, planes=("epochs",), learning_rates=(2.0**-6, 1.0),
        difficulty=1.0, luck=0.3,
    )  # fmt: skip
    plane = world.draw(0).planes["epochs"]
    assert 100 * plane.test.mean(2) == pytest.approx(world.truth("epochs"), abs=1.2)
    assert plane.validation.mean(2) == pytest.approx(plane.test.mean(2), abs=0.015)


def test_logits_of_means():
    accuracy = np.array([0.1, 0.5, 0.9, 0.99])
    theta = _logit_of_mean(accuracy, 2.0)
    z = np.random.default_rng(0).normal(size=400_000)
    means = [(1 / (1 + np.exp(-(t + 2 * z)))).mean() for t in theta]
    assert means == pytest.approx(accuracy, abs=2e-3)


def test_failures():
    plane = replace(WORLD, cliff=4.0, planes=("epochs",)).draw(0).planes["epochs"]
    failed = np.isnan(plane.test).all(2)
    assert failed.sum(1).tolist() == [7, 5, 3]  # from four times the best rate on
    plane = replace(WORLD, failure=0.25, planes=("epochs",)).draw(0).planes["epochs"]
    assert 0.15 < np.isnan(plane.test).mean() < 0.35
    np.testing.assert_array_equal(np.isnan(plane.test), np.isnan(plane.validation))


def test_difficulty_is_shared_by_all_runs():
    """Runs agree on examples far more often than independent errors would."""
    plane = replace(WORLD, num_test=4000, planes=("epochs",)).draw(0).planes["epochs"]
    a, b = plane.hits(0, 3), plane.hits(2, 7)
    disagree, p, q = (a != b).mean(), a.mean(), b.mean()
    assert disagree < 0.8 * (p * (1 - q) + q * (1 - p))


def test_steps_to_target_follow_the_planted_hyperbola():
    world = World(step_noise=0.0, evaluations=400, fewest_steps=200.0, planes=("epochs", "updates"))
    sizes, steps, _ = steps_table(replace(world, num_test=50).draw(0))
    ratio = steps[0] / (1 + world.critical / sizes)
    assert len(sizes) >= 5
    assert ratio / ratio[0] == pytest.approx(np.ones(len(sizes)), rel=0.01)
