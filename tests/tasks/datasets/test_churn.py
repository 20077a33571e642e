import numpy as np
import pytest

from minima.tasks.datasets import churn, load


def test_three_forms_of_the_same_customers():
    weeks, table, longer = (load(form) for form in churn.FORMS)
    assert (weeks.kind, weeks.input_shape, weeks.stand_in) == ("signal", (78,), True)
    assert (table.kind, table.input_shape, longer.input_shape) == ("vector", (6,), (10,))
    for form in (table, longer):
        np.testing.assert_array_equal(form.test.labels, weeks.test.labels)
    np.testing.assert_array_equal(longer.test.inputs[:, :6], table.test.inputs)
    assert np.bincount(weeks.test.labels).tolist() == [1000, 1000]


def test_leaving_shows_in_the_last_weeks_alone():
    test = load("churn").test
    stays, leaves = (test.inputs[test.labels == label] for label in (0, 1))
    assert leaves[:, -3:].mean() < 0.5 * stays[:, -3:].mean()
    early = slice(0, 78 - churn.Settings().gone[1])
    assert leaves[:, early].mean() == pytest.approx(stays[:, early].mean(), rel=0.1)


def test_summaries_by_hand():
    weeks = np.zeros((2, 78))
    weeks[0, -10] = 3  # bought thrice, nine weeks before the last one
    weeks[1] = np.arange(78)
    table = churn.summaries(weeks, year=True) * churn.SCALES
    expected = [9, 3 / 78, 0, 3 / 13, 3 / 26]
    np.testing.assert_allclose(table[0, :5], expected, rtol=1e-6)
    np.testing.assert_allclose(table[0, 6:], 0)
    time = np.arange(26) - 12.5
    np.testing.assert_allclose(table[0, 5], 3 * time[16] / (time @ time), rtol=1e-6)
    means = [38.5, 75.5, 71, 64.5]
    last_year = [np.mean(np.arange(78)[cut]) for cut in (slice(22, 26), slice(13, 26))]
    next_ = [np.mean(np.arange(78)[cut]) for cut in (slice(26, 30), slice(26, 39))]
    np.testing.assert_allclose(table[1], [0, *means, 1, *last_year, *next_], rtol=1e-6)


@pytest.mark.parametrize("form", churn.FORMS)
def test_a_file_of_ones_own(form, tmp_path):
    rng = np.random.default_rng(0)
    file = tmp_path / "customers.npz"
    arrays = {"x_train": rng.poisson(1.0, (30, 70)), "x_test": rng.poisson(1.0, (10, 70))}
    np.savez(file, y_train=np.arange(30) % 2, y_test=np.arange(10) % 2, **arrays)
    data = load(f"{form}:{file}")
    assert (data.stand_in, data.num_classes, len(data.test)) == (False, 2, 10)
    assert data.train.inputs.dtype == np.float32


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"x_train": np.zeros((4, 20))}, "(4, 20)"),
        ({"x_train": np.zeros((4, 70, 2))}, "(4, 70, 2)"),
        ({"y_train": np.array([0, 1, 2, 0])}, "3 classes"),
        ({"y_train": None}, "lacks y_train"),
    ],
)
def test_files_that_do_not_fit(change, says, tmp_path, refusal):
    arrays = {
        "x_train": np.eye(4, 70),
        "y_train": np.arange(4) % 2,
        "x_test": np.eye(2, 70),
        "y_test": np.arange(2),
    }
    arrays = {name: value for name, value in (arrays | change).items() if value is not None}
    np.savez(tmp_path / "a.npz", **arrays)
    line = refusal(load, f"churn:{tmp_path / 'a.npz'}")
    assert line.startswith("--dataset 'churn:")
    assert says in line
