"""Signals that drift by months: the same until they do, in the units of launch."""

import numpy as np
import pytest

from minima.tasks.datasets import load, mnist1d, mnist1d_months
from minima.tasks.datasets.mnist1d_months import LAST, STABLE


def test_months_before_the_drift_are_mnist1d_drawn_anew():
    launch, first = load("mnist1d"), load("mnist1d_month:1")
    assert len(first.train) + len(first.validation) == 4000
    assert len(first.test) == 1000
    known = set(map(bytes, launch.train.inputs))
    assert not known & set(map(bytes, first.test.inputs))
    assert first.std == pytest.approx(launch.std, rel=0.05)
    for month in (1, STABLE):
        drawn = mnist1d_months.settings(month)
        assert (drawn.shear_scale, drawn.iid_noise_scale) == (0.75, 0.02)


def test_the_drift_grows_and_ends():
    spread = [load(f"mnist1d_month:{m}").std for m in (STABLE, STABLE + 3, LAST)]
    assert spread[0] < 0.9 * spread[1] < 0.8 * spread[2]
    later = mnist1d_months.settings(LAST + 5)
    assert later.shear_scale == mnist1d_months.settings(LAST).shear_scale == 3.0
    assert later.seed != mnist1d_months.settings(LAST).seed


def test_units_are_those_that_are_given():
    settings = mnist1d.Settings(num_samples=100)
    (own, _), (raw, _) = mnist1d.generate(settings), mnist1d.generate(settings, units=(0.0, 1.0))
    mean, std = mnist1d.standardisation(settings)
    assert np.allclose(own.inputs, (raw.inputs - mean) / std, atol=1e-5)


@pytest.mark.parametrize("month", ["0", "-1", "x", "1.5", ""])
def test_a_month_is_a_whole_number(month, refusal):
    assert "month" in refusal(load, f"mnist1d_month:{month}")
