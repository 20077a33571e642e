import numpy as np
import pytest

from minima.claims.choosing import (
    UndecidedError,
    at_rate,
    choose,
    nearest_rate,
    plane_of,
    reported_accuracy,
    reported_hits,
)
from minima.claims.evidence import Evidence, Plane

RATES = (0.1, 0.2, 0.4)


def evidence(validation, test=None, choosing=(0, 1), reporting=(2, 3), sizes=(16,)):
    """Planes (B, R, S) with four test examples; hits follow from test accuracy."""
    validation = np.asarray(validation, float)
    test = validation.copy() if test is None else np.asarray(test, float)
    rights = np.nan_to_num(test)[..., None] * 4 > np.arange(4)
    plane = Plane(
        sizes, RATES, (0, 1, 2, 3), validation, test, test, (10,) * len(sizes), 4,
        lambda b, r: rights[b, r],
    )  # fmt: skip
    return Evidence({"epochs": plane}, None, choosing, reporting, "sgd", 0.1)


def test_choosing_seeds_choose_and_reporting_seeds_do_not():
    e = evidence([[[0.5, 0.5, 1, 1], [0.7, 0.6, 0, 0], [0.6, 0.6, 1, 1]]])
    chosen = choose(e, "epochs", 0)
    assert (chosen.column, chosen.rate, chosen.edge, chosen.batch_size) == (1, 0.2, "", 16)


def test_ties_go_to_the_smaller_rate_and_edges_are_flagged():
    e = evidence([[[0.6, 0.6, 1, 1], [0.6, 0.6, 1, 1], [0.5, 0.5, 1, 1]]])
    chosen = choose(e, "epochs", -1)
    assert (chosen.column, chosen.edge, chosen.row) == (0, "lower", 0)
    assert "lower end" in chosen.notes("epochs")[0]
    e = evidence([[[0.4, 0.6, 1, 1], [0.6, 0.6, 1, 1], [0.7, 0.7, 1, 1]]])
    assert choose(e, "epochs", 0).edge == "upper"


def test_a_rate_where_a_choosing_seed_failed_is_never_chosen():
    e = evidence([[[0.5, 0.5, 1, 1], [0.9, np.nan, 1, 1], [0.4, 0.4, 1, 1]]])
    assert choose(e, "epochs", 0).column == 0


def test_failures_of_reporting_seeds_count_as_guessing_and_are_told():
    test = [[[1, 1, 1, 1], [1, 1, np.nan, 0.5], [1, 1, 1, 1]]]
    e = evidence([[[0.5, 0.5, 1, 1], [0.7, 0.7, np.nan, 1], [0.6, 0.6, 1, 1]]], test)
    chosen = choose(e, "epochs", 0)
    assert (chosen.failed, chosen.reporting) == (1, 2)
    assert "failed for 1 of 2 reporting seeds" in chosen.notes("epochs")[0]
    assert reported_accuracy(e, "epochs", 0, 1).tolist() == [10, 50]
    assert reported_hits(e, "epochs", 0, 1).tolist() == [[10] * 4, [100, 100, 0, 0]]
    assert reported_hits(e, "epochs", 0, 1).mean(1).tolist() == [10, 50]


def test_a_cell_without_a_choice():
    e = evidence(np.full((2, 3, 4), 0.5), sizes=(16, 64))
    cell = at_rate(e, "epochs", -1, 2)
    assert (cell.batch_size, cell.row, cell.rate, cell.edge) == (64, 1, 0.4, "upper")


def test_what_can_not_be_chosen():
    e = evidence(np.full((1, 3, 4), np.nan))
    with pytest.raises(UndecidedError, match="batch size 16 survives"):
        choose(e, "epochs", 0)
    with pytest.raises(UndecidedError, match="updates"):
        plane_of(e, "updates")
    with pytest.raises(UndecidedError, match="seeds to choose"):
        choose(evidence(np.zeros((1, 3, 4)), choosing=()), "epochs", 0)


def test_nearest_rate():
    plane = evidence(np.zeros((1, 3, 4))).planes["epochs"]
    assert nearest_rate(plane, 0.23) == 1
    with pytest.raises(UndecidedError, match=r"factor 1\.3 of 0\.8"):
        nearest_rate(plane, 0.8)
