from dataclasses import replace

import numpy as np
import pytest

from minima.claims.choosing import UndecidedError, reported_accuracy
from minima.claims.gap import BOTH, FACTORS, RATE, UNTREATED, UPDATES, at_same_loss, batch_gap
from minima.claims.worlds import World

# Rates four times apart, so that the choice is beyond doubt: small at 1/64, large at 4.
WORLD = World(
    batch_sizes=(8, 128),
    learning_rates=(2.0**-8, 2.0**-6, 2.0**-4, 2.0**-2, 1.0),
    curvature=0.5,
    slowness=0.75,
    enough=12_800.0,
    benefit=0.25,
    num_test=600,
    planes=("epochs", "updates"),
    evaluations=0,
)


def planted(world):
    """Raw gap and parts in points, from the true accuracies; rates as they should be chosen."""
    small = world.truth("epochs")[0, 1]
    large = {
        UNTREATED: world.truth("epochs")[1, 1],
        RATE: world.truth("epochs")[1, 3],
        UPDATES: world.truth("updates")[1, 1],
        BOTH: world.truth("updates")[1, 3],
    }
    return {
        "raw gap": small - large[UNTREATED],
        "rate": (large[RATE] - large[UNTREATED] + large[BOTH] - large[UPDATES]) / 2,
        "updates": (large[UPDATES] - large[UNTREATED] + large[BOTH] - large[RATE]) / 2,
        "left": small - large[BOTH],
    }


def test_the_world_is_what_it_says():
    parts = planted(WORLD)
    assert parts == pytest.approx({"raw gap": 12, "rate": 8, "updates": 3, "left": 1})


def test_parts_sum_to_the_raw_gap_exactly_in_both_orders():
    gap = batch_gap(WORLD.draw(0))
    estimates = {name: interval.estimate for name, interval in gap.bars()}
    total = estimates["rate"] + estimates["updates"] + estimates["left"]
    assert total == pytest.approx(estimates["raw gap"], abs=1e-9)
    assert len(gap.split.orders) == 2
    for steps in gap.split.orders.values():
        parts = sum(interval.estimate for interval in steps.values())
        assert parts + estimates["left"] == pytest.approx(estimates["raw gap"], abs=1e-9)


def test_planted_parts_are_recovered():
    gap = batch_gap(replace(WORLD, num_test=5000).draw(1), confidence=0.999)
    for name, interval in gap.bars():
        assert interval.contains(planted(WORLD)[name])
    assert gap.split.interactions[BOTH].contains(0)
    assert gap.small.rate == 2.0**-6
    assert gap.large[RATE].rate == gap.large[BOTH].rate == 2.0**-2
    assert gap.large[UNTREATED].rate == gap.large[UPDATES].rate == gap.small.rate
    assert gap.notes == ()


def test_accuracies_are_kept_for_the_figure():
    evidence = WORLD.draw(2)
    gap = batch_gap(evidence)
    assert list(gap.accuracy) == [
        "small",
        "large, as small",
        "large, tuned rate",
        "large, same updates",
        "large, tuned rate and same updates",
    ]
    mean = reported_accuracy(evidence, "epochs", 0, 1).mean()
    assert gap.accuracy["small"].estimate == pytest.approx(mean)
    assert [name for name, _ in gap.bars()] == ["raw gap", *FACTORS, "left"]
    assert gap.num_test == 600


@pytest.mark.slow
def test_parts_lie_in_their_intervals_as_often_as_they_should():
    truth, hits = planted(WORLD), []
    for seed in range(2000):
        gap = batch_gap(WORLD.draw(seed))
        hits.append([interval.contains(truth[name]) for name, interval in gap.bars()])
    coverage = np.mean(hits, axis=0)
    assert (coverage > 0.93).all()
    assert (coverage < 0.985).all()


def test_infinite_data_use_their_own_planes():
    world = replace(
        WORLD, infinite_benefit=0.0, planes=("infinite_epochs", "infinite_updates"), num_test=3000
    )
    gap = batch_gap(world.draw(0), infinite=True)
    assert dict(gap.bars())["left"].contains(0)


def test_an_edge_and_failures_are_flagged():
    edge = replace(WORLD, learning_rates=WORLD.learning_rates[:4])
    assert any("upper end" in note for note in batch_gap(edge.draw(0)).notes)
    cliff = replace(WORLD, cliff=4.0, exponent=-0.5)
    notes = batch_gap(cliff.draw(0)).notes
    assert any("failed for 10 of 10" in note for note in notes)


def test_a_large_batch_that_fails_counts_as_guessing():
    cliff = replace(WORLD, cliff=4.0, exponent=-0.5, num_test=2000)
    gap = batch_gap(cliff.draw(0))
    assert gap.accuracy["large, as small"].estimate == pytest.approx(10)


def test_what_can_not_be_split():
    with pytest.raises(UndecidedError, match='"updates"'):
        batch_gap(replace(WORLD, planes=("epochs",)).draw(0))
    with pytest.raises(UndecidedError, match="2 or more seeds"):
        batch_gap(replace(WORLD, reporting=1).draw(0))
    with pytest.raises(UndecidedError, match="a small and a large"):
        batch_gap(replace(WORLD, batch_sizes=(8,)).draw(0))


def test_at_the_same_training_loss_the_difference_is_that_of_the_cells_read_there():
    world = replace(WORLD, reporting=10).draw(3)
    longer = world.planes["updates"]
    planes = {**world.planes, "loss": replace(longer, train_loss=np.ones_like(longer.train_loss))}
    found = at_same_loss(replace(world, planes=planes))
    both = batch_gap(world)
    assert found.ratio == 1
    assert found.large == both.large[BOTH]
    assert found.difference.n == 10
    with pytest.raises(UndecidedError, match="loss"):
        at_same_loss(world)
