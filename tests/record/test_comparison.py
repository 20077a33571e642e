import copy
import io
import itertools
import math

import numpy as np
import pytest
from scipy import stats

from minima.record import results
from minima.record.comparison import compare, print_comparison
from minima.record.run_directory import RunDirectory
from minima.record.terminal import make_console
from minima.runtime.errors import UserError


@pytest.fixture
def make_run(tmp_path):
    """A run on disk that holds these cells, read back."""
    number = itertools.count()

    def make(cells, data="a", **config):
        name = f"run{next(number)}"
        config = {"data_sha256": data, "training": config}
        with RunDirectory.open(tmp_path, "sweep", name, config, "", None) as run:
            for cell in cells:
                run.append_cell(cell)
        return results.load(run.directory)

    return make


@pytest.fixture
def cells(make_cell):
    points = itertools.product((16, 32), (0.01, 0.1), range(4))
    return [make_cell(b, r, s, accuracy=0.8 + 0.01 * s) for b, r, s in points]


def shifted(cells, by):
    """The same cells with other test accuracies, by a function of the cell's place."""
    moved = copy.deepcopy(cells)
    for cell in moved:
        cell["test_accuracy"] += by(**cell["cell"])
    return moved


def printed(found):
    stream = io.StringIO()
    print_comparison(make_console(stream), found)
    return stream.getvalue()


def test_pairs_of_a_seed_are_averaged_before_the_interval(make_run, cells):
    def by(batch_size, learning_rate, seed):
        return 0.01 * seed + learning_rate * (batch_size == 32)

    found = compare(make_run(cells), make_run(shifted(cells, by), momentum=0.5))
    assert [row.label for row in found.rows] == ["16", "32", "all"]
    expected = np.array([0.0, 0.01, 0.02, 0.03])
    half = stats.t.ppf(0.975, 3) * expected.std(ddof=1) / 2
    for row, offset, pairs in zip(found.rows, (0, 0.055, 0.0275), (8, 8, 16), strict=True):
        difference = row.differences["test_accuracy"]
        assert difference.n == 4
        assert difference.mean == pytest.approx(expected.mean() + offset)
        assert difference.half == pytest.approx(half)
        assert row.trained == pairs
        assert row.differences["test_loss"].mean == 0
    assert found.changes == {"training.momentum": (None, 0.5)}
    assert "training.momentum: None → 0.5" in printed(found)


def test_swapping_the_runs_changes_the_sign_only(make_run, cells):
    a, b = make_run(cells), make_run(shifted(cells, lambda seed, **_: 0.02 * seed))
    there, back = (
        compare(*runs).rows[-1].differences["test_accuracy"] for runs in ((a, b), (b, a))
    )
    assert there.mean == pytest.approx(-back.mean)
    assert there.half == pytest.approx(back.half)


def test_failures_are_counted_and_in_no_mean(make_run, cells, make_cell):
    other = shifted(cells, lambda **_: 0.01)
    cells[0] = make_cell(16, 0.01, 0, "diverged")
    other[0] = make_cell(16, 0.01, 0, "diverged")
    other[1] = make_cell(16, 0.01, 1, "diverged")
    other[2] = make_cell(16, 0.01, 2, "collapsed", accuracy=0.1)
    row = compare(make_run(cells), make_run(other)).rows[0]
    assert row.failed == {"diverged": (1, 2), "collapsed": (0, 1)}
    assert row.trained == 5
    assert row.differences["test_accuracy"].mean == pytest.approx(0.01)


def test_cells_without_a_partner_are_counted(make_run, cells):
    found = compare(make_run(cells[:10]), make_run(cells[4:]))
    assert found.unpaired == (4, 6)
    assert found.rows[-1].trained == 6
    assert "4 cells of the first, 6 of the second" in printed(found)


def test_other_data_are_refused_unless_told(make_run, cells):
    first, second = make_run(cells), make_run(cells, data="b")
    with pytest.raises(UserError, match="different data; use --any_data"):
        compare(first, second)
    assert compare(first, second, any_data=True).rows[-1].trained == 16


def test_nothing_in_common_is_refused(make_run, cells):
    with pytest.raises(UserError, match="no finished cell in common"):
        compare(make_run(cells[:2]), make_run(cells[2:]))
    with pytest.raises(UserError, match="no finished cell in common"):
        compare(make_run([]), make_run([]))


@pytest.mark.parametrize(("seeds", "words"), [(1, "One seed: no interval"), (3, "3 seeds are few")])
def test_it_says_when_seeds_are_too_few(make_run, cells, seeds, words):
    few = [cell for cell in cells if cell["cell"]["seed"] < seeds]
    text = printed(compare(make_run(few), make_run(few)))
    assert words in text
    assert f"(n = {seeds})" in text
    assert ("±" in text.replace("mean ± 95 %", "")) == (seeds > 1)


def test_where_every_pair_failed_there_are_no_values(make_run, make_cell):
    diverged = [make_cell(seed=seed, status="diverged") for seed in range(3)]
    found = compare(make_run(diverged), make_run(diverged))
    assert math.isnan(found.rows[-1].differences["test_accuracy"].mean)
    text = printed(found)
    assert "no values" in text
    assert "3 → 3" in text


def test_piped_output_is_plain(make_run, cells):
    text = printed(compare(make_run(cells), make_run(cells)))
    assert all(character.isprintable() or character == "\n" for character in text)
