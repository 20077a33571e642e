"""MNIST-1D by its authors' settings, against their table (Greydanus & Kobak 2020).

Adam, rate 0.01, batch 100, 6,000 updates, no validation split; here 2 seeds and 20,000 fresh test
signals, 10 seeds in README.
"""

import csv

import numpy as np
import pytest

FLAGS = (
    "--optimizer=adam",
    "--batch_sizes=100",
    "--learning_rates=0.01",
    "--seeds=2",
    "--budget=6000steps",
    "--validation_fraction=0",
    "--test_examples=20000",
    "--evaluations=1",
    "--tensorboard=false",
)


def further(*case):
    return pytest.param(*case, marks=pytest.mark.long)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "model", "low", "high"),
    [
        further("mnist1d", "linear", 30, 34),
        ("mnist1d", "mlp_residual", 63, 70),
        ("mnist1d", "cnn1d", 90, 96),
        further("mnist1d", "gru_mnist1d", 86, 94),
        further("mnist1d_shuffled", "mlp_residual", 62, 72),
        ("mnist1d_shuffled", "cnn1d", 52, 63),
    ],
)
def test_the_published_table(experiment, run_path, tmp_path, dataset, model, low, high):
    result = experiment(
        f"--dataset={dataset}", f"--model={model}", *FLAGS, cwd=tmp_path, timeout=500
    )
    assert result.returncode == 0
    with open(run_path(result.stdout, tmp_path) / "results.csv", newline="") as file:
        found = [100 * float(row["test_accuracy"]) for row in csv.DictReader(file)]
    assert low <= np.mean(found) <= high
