"""Figures show what they are given: lines, levels, names, in both formats."""

import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from minima.landscape import surface_figures
from minima.landscape.estimators import Ritz
from minima.landscape.surfaces import Slice, StraightPath, Surface
from minima.record import figure_style

X = np.linspace(-1, 1, 11)
SLICES = {
    "small batch": Slice(X, 0.01 + X**2, np.ones(11)),
    "large batch": Slice(X, 0.05 + 3 * X**2, np.ones(11)),
    "broken": Slice(X, np.where(X > 0.5, np.nan, 1.0), np.ones(11)),
}
GRID = 0.01 + X[:, None] ** 2 + 4 * X[None] ** 2
SURFACES = {
    "small batch": Surface(X, X, GRID, GRID),
    "large batch": Surface(X, X, 3 * GRID, GRID),
}
T = np.linspace(0, 1, 9)
PATHS = {"seed 0 to 1": StraightPath(T, 0.1 + T * (1 - T), T, np.float32(0.25), np.float32(0))}
VALUES = np.array([-0.1, 0.0, 1e-3, 2e-3, 5.0])
SPECTRA = {"small batch": Ritz(VALUES, np.full(5, 0.2), np.zeros(5))}
FIGURES = {
    "slices": lambda: surface_figures.slices_figure(SLICES, run="mlp on mnist1d"),
    "surface": lambda: surface_figures.surface_figure(SURFACES, run="mlp on mnist1d"),
    "path": lambda: surface_figures.path_figure(PATHS, run="mlp on mnist1d"),
    "spectra": lambda: surface_figures.spectra_figure(SPECTRA, run="mlp on mnist1d"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_says_whose_it_is_and_is_the_same_each_time(name):
    picture = FIGURES[name]()
    assert picture.png.startswith(b"\x89PNG")
    assert picture.svg == FIGURES[name]().svg
    text = " ".join(re.findall(r">([^<>]+)</text>", picture.svg.decode()))
    assert "mlp on mnist1d" in text
    given = {"slices": SLICES, "surface": SURFACES, "path": PATHS, "spectra": SPECTRA}[name]
    assert all(key in text for key in given)


def test_a_path_states_its_barrier():
    assert "barrier 0.25" in FIGURES["path"]().svg.decode()


@pytest.fixture
def drawn(monkeypatch):
    """Figures as they are when they are finished."""
    kept: list[Figure] = []
    finish = figure_style.Sheet.finish

    def keep(sheet):
        kept.append(sheet.figure)
        return finish(sheet)

    monkeypatch.setattr(figure_style.Sheet, "finish", keep)
    return kept


def test_lines_are_the_losses(drawn):
    FIGURES["slices"]()
    lines = drawn[0].axes[0].get_lines()
    for line, found in zip(lines, SLICES.values(), strict=False):
        np.testing.assert_array_equal(line.get_ydata(), found.loss)
    low, high = drawn[0].axes[0].get_ylim()
    assert low < 0.01 < 3.05 < high


def test_panels_share_their_levels(drawn):
    FIGURES["surface"]()
    first, second = (panel.collections[0].norm for panel in drawn[0].axes[:2])
    assert (first.vmin, first.vmax) == (second.vmin, second.vmax)
    assert first.vmin <= 0.0101
    assert first.vmax >= 15


def test_bins_of_a_spectrum_lie_around_zero_and_hold_everything():
    edges, linear = surface_figures.spectrum_bins([VALUES])
    assert linear == pytest.approx(5e-4)
    assert (np.diff(edges) > 0).all()
    np.testing.assert_allclose(edges, -edges[::-1])
    assert np.histogram(VALUES, edges, weights=np.full(5, 0.2))[0].sum() == pytest.approx(1)


def test_a_loss_that_is_nowhere_finite_is_drawn_all_the_same():
    nothing = Slice(X, np.full(11, np.nan), X)
    assert surface_figures.slices_figure({"diverged": nothing}).png.startswith(b"\x89PNG")
