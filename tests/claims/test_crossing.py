"""A course is read where it first meets a target, in either direction."""

import numpy as np
import pytest

from minima.claims.crossing import first_crossing


@pytest.mark.parametrize(
    ("course", "target", "place"),
    [
        ([10, 30, 20, 60], 25, 0.75),  # the first of three
        ([2, 1, 0.5], 0.75, 1.5),  # falling, as losses do
        ([10, 20, 30], 20, 1),
        ([20, 30], 20, 0),
        ([30, 20, 40], 25, 0.5),
    ],
)
def test_a_place_is_a_broken_index(course, target, place):
    assert first_crossing(np.array(course, float), target) == place


@pytest.mark.parametrize("course", [[10, 20], [30, 40], [10, np.nan, 40], []])
def test_what_was_not_seen_is_nan(course):
    assert np.isnan(first_crossing(np.array(course, float), 25))
