"""Pictures against a plain loop in NumPy, box counts of sets whose dimension is known."""

import numpy as np
import pytest

from minima.landscape.trainability import (
    Window,
    box_counts,
    dimension,
    edge,
    make_problem,
    picture,
)


def plain_end(problem, first_rate, second_rate, steps):
    """Gradient descent by hand: the mean of the last 20 losses over the first."""
    x, y = problem.inputs, problem.targets
    hidden, readout = problem.hidden.copy(), problem.readout.copy()
    width, losses = len(readout), []
    for _ in range(steps):
        units = np.tanh(x @ hidden.T / np.sqrt(width))
        error = units @ readout / width - y
        losses.append(np.mean(error**2))
        slope = 2 * error / len(y) / width
        inner = slope[:, None] * readout * (1 - units**2) / np.sqrt(width)
        hidden, readout = (
            hidden - first_rate * inner.T @ x,
            readout - second_rate * units.T @ slope,
        )
    return np.mean(losses[-20:]) / losses[0]


def test_a_picture_is_what_plain_loops_find():
    problem, window = make_problem(4, seed=3), Window(0.5, 0.5, 2.0)
    found = picture(problem, window, pixels=3, steps=40)
    across, up = window.rates(3)
    for row in range(3):
        for column in range(3):
            wanted = plain_end(problem, across[column], up[row], 40)
            np.testing.assert_allclose(found[row, column], wanted, rtol=1e-9)


def test_what_diverges_is_infinite():
    found = picture(make_problem(4, seed=3), Window(0.0, 5.0, 1.0), pixels=3, steps=60)
    assert np.isinf(found).all()


def test_rates_lie_at_the_middles_of_pixels():
    across, up = Window(1.0, -1.0, 2.0).rates(2)
    np.testing.assert_allclose(np.log10(across), [0.5, 1.5])
    np.testing.assert_allclose(np.log10(up), [-1.5, -0.5])


def test_a_zoom_is_centred_on_the_edge():
    trains = np.zeros((16, 16), bool)
    trains[:10] = True  # rates of the read-out up to 10 / 16 of the window
    zoomed = Window(3.0, 2.0, 1.6).zoomed(trains, 4.0)
    assert zoomed.y == pytest.approx(2.0 - 0.8 + 1.0)
    assert (zoomed.side, abs(zoomed.x - 3.0) < 0.11) == (0.4, True)
    with pytest.raises(ValueError, match="or none does"):
        zoomed.zoomed(np.ones((16, 16), bool), 4.0)


def carpet(levels):
    """Each pixel becomes 4 × 4 whose diagonals stay: 8 of 16, dimension log 8 / log 4 = 1.5."""
    stamp = (np.eye(4) + np.fliplr(np.eye(4))).astype(bool)
    found = np.ones((1, 1), bool)
    for _ in range(levels):
        found = np.kron(found, stamp)
    return found


@pytest.mark.parametrize(
    ("marked", "wanted", "error"),
    [
        (np.eye(64, dtype=bool), 1.0, 1e-9),
        (np.ones((64, 64), bool), 2.0, 1e-9),
        (carpet(4), 1.5, 0.1),
    ],
)
def test_the_dimension_of_known_sets(marked, wanted, error):
    assert dimension(marked) == pytest.approx(wanted, abs=error)


def test_the_edge_of_a_half_plane_is_a_line():
    trains = np.zeros((32, 32), bool)
    trains[:, :13] = True
    assert np.count_nonzero(edge(trains)) == 32
    assert dimension(edge(trains)) == pytest.approx(1.0)


def test_no_edge_has_no_dimension_and_sides_are_powers_of_two():
    assert np.isnan(dimension(np.zeros((16, 16), bool)))
    sides, counts = box_counts(np.eye(32, dtype=bool))
    assert (sides.tolist(), counts.tolist()) == ([1, 2, 4], [32, 16, 8])
    with pytest.raises(ValueError, match="power of two"):
        box_counts(np.zeros((24, 24), bool))
