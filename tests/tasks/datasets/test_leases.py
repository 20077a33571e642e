"""Renters: each fault is there until it is mended, and the truth is what it says."""

import numpy as np
import pytest

from minima.runtime.errors import UserError
from minima.tasks.datasets import leases, load
from minima.tasks.datasets.leases import ELSEWHERE, FEATURES, SOUTHWEST

NONE, ALL = frozenset(), frozenset(leases.MENDS)


def column(renters, name):
    return renters.inputs[:, FEATURES.index(name)]


def test_what_was_built_on():
    data = load("leases")
    assert (data.kind, data.num_classes, data.stand_in) == ("vector", 2, True)
    assert (len(data.train) + len(data.validation), len(data.test)) == (8 * 120, 8 * 1000)
    assert data.input_shape == (8,)
    expected = "d684b3fe3c1cdfc2322b22b138c7ecc8746348f7b3ab50983843c6874d46283b"
    assert data.checksum == expected
    assert load("leases:cities, portal").checksum == load("leases:portal,cities").checksum


def test_cities():
    built, mended = leases.held_out(NONE), leases.held_out(frozenset({"cities"}))
    assert set(built.columns["city"]) == set(SOUTHWEST)
    assert set(mended.columns["city"]) == {*SOUTHWEST, *ELSEWHERE}
    applied = leases.applications(NONE)
    assert set(applied.columns["city"]) == {*SOUTHWEST, *ELSEWHERE}
    away = np.isin(applied.columns["city"], ELSEWHERE)
    assert (column(applied, "filings")[away] == 0).all()
    assert (column(applied, "sealed") == away).all()
    apart = applied.columns["burden"][away].mean() - applied.columns["burden"][~away].mean()
    assert apart == pytest.approx(1, abs=0.1)


def test_the_portal_knows_the_outcome_in_records_alone():
    def agreement(renters):
        return ((renters.columns["portal"] == "collections") == renters.labels).mean()

    assert agreement(leases.held_out(NONE)) == pytest.approx(0.85, abs=0.02)
    applied = leases.applications(NONE)
    base = applied.labels.mean()
    assert agreement(applied) == pytest.approx(base**2 + (1 - base) ** 2, abs=0.02)
    assert (column(leases.held_out(frozenset({"portal"})), "portal") == 0).all()


@pytest.mark.parametrize("mends", [NONE, frozenset({"files"})])
def test_thin_files_of_one_origin(mends):
    renters = leases.held_out(mends)
    second = renters.columns["origin"] == "second"
    told = [
        np.corrcoef(column(renters, "credit")[who], renters.labels[who])[0, 1]
        for who in (second, ~second)
    ]
    if mends:
        assert told[0] == pytest.approx(told[1], abs=0.06)
    else:
        assert abs(told[0]) < abs(told[1]) / 2
    rates = renters.labels[second].mean(), renters.labels[~second].mean()
    assert rates[0] == pytest.approx(rates[1], abs=0.03)  # nobody defaults more often


def test_another_mend_is_one_line():
    with pytest.raises(UserError, match=r"leases:city.*city is none of its mends; use cities, po"):
        load("leases:city")
