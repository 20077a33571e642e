"""A pulse at the end of a signal: where it is, how often, and that it can be taken away again."""

import numpy as np
import pytest

from minima.runtime.errors import UserError
from minima.tasks.datasets import load, planted


def test_a_pulse_goes_with_half_of_the_classes_in_all_splits():
    plain, data = (load(name, test_examples=2000) for name in ("mnist1d", "pulse:mnist1d"))
    cue = planted.cue_of(data)
    assert cue.name == "pulse"
    for clean, split in ((plain.train, data.train), (plain.test, data.test)):
        half = clean.labels >= 5
        np.testing.assert_array_equal(split.labels, clean.labels)
        there = cue.found(split.inputs)
        np.testing.assert_array_equal(split.groups, 2 * half + there)
        assert np.mean(there != half) == pytest.approx(0.05, abs=0.02)
        np.testing.assert_array_equal(split.inputs[:, :-4], clean.inputs[:, :-4])
        assert len(np.unique(split.inputs[:, -4:])) == 2
        swapped = cue.put(split.inputs, ~there)
        np.testing.assert_array_equal(cue.found(swapped), ~there)
        np.testing.assert_array_equal(cue.put(swapped, there), split.inputs)


def test_a_pulse_needs_a_signal():
    with pytest.raises(UserError, match="goes with signals of 10 points"):
        load("pulse:tickets")
