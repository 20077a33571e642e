"""Accuracy and confidence on corrupted test examples, and on examples of none of the classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minima.evaluation.calibration import Floats
from minima.sweep.run import Prepared
from minima.tasks import datasets
from minima.tasks.datasets import Dataset
from minima.tasks.datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt, units_of
from parts.distribution_shift.networks import PERCENT, Said, logits, probabilities, said

SURE = 0.9  # a confidence above this is a claim to know


@dataclass(frozen=True)
class Robustness:
    """One kind of data.

    Attributes:
      names: of the corruptions.
      clean: on the same examples, uncorrupted; arrays are (seeds,).
      corrupted: arrays are (corruptions, severities, seeds).
    """

    names: tuple[str, ...]
    clean: Said
    corrupted: Said

    @property
    def worst(self) -> Said:
        """At the highest severity, means over corruptions: (seeds,)."""
        return Said(*(each[:, -1].mean(axis=0) for each in self.corrupted))


@dataclass(frozen=True)
class Stranger:
    """Inputs that are none of the classes.

    Attributes:
      name: what they are.
      confidence: mean, in percent, (seeds,).
      sure: share of them above SURE, in percent, (seeds,).
      separated: how often one of them is less sure than a test example (AUROC), percent, (seeds,).
    """

    name: str
    confidence: Floats
    sure: Floats
    separated: Floats


def corrupted_inputs(data: Dataset, name: str, severity: int, count: int) -> np.ndarray:
    """The first test examples, corrupted in the training set's units."""
    return corrupt(data.kind, data.test.inputs[:count], name, severity, units=units_of(data))


def measure(prepared: Prepared, cells: Sequence[int], count: int) -> Robustness:
    """All corruptions at all severities."""
    data = prepared.plan.dataset
    labels, names = data.test.labels[:count], tuple(CORRUPTIONS[data.kind])
    rows = [
        said(probabilities(prepared, corrupted_inputs(data, name, severity, count), cells), labels)
        for name in names
        for severity in SEVERITIES
    ]
    shape = (len(names), len(SEVERITIES), len(cells))
    clean = said(probabilities(prepared, data.test.inputs[:count], cells), labels)
    return Robustness(
        names, clean, Said(*(np.array(each).reshape(shape) for each in zip(*rows, strict=True)))
    )


def strangers(prepared: Prepared, cells: Sequence[int], count: int) -> list[Stranger]:
    """What networks claim of noise and of things from elsewhere; the last one is the realest."""
    data = prepared.plan.dataset
    known = probabilities(prepared, data.test.inputs[:count], cells).max(axis=-1)
    found = []
    for name, inputs in _strange(data, count).items():
        sure = probabilities(prepared, inputs, cells).max(axis=-1)
        below = np.array([_auroc(a, b) for a, b in zip(known, sure, strict=True)])
        found.append(
            Stranger(
                name,
                PERCENT * sure.mean(axis=1),
                PERCENT * (sure > SURE).mean(axis=1),
                PERCENT * below,
            )
        )
    return found


def launch_logits(prepared: Prepared, cell: int) -> Floats:
    """(n, classes) of one network on all test examples, clean."""
    return logits(prepared, prepared.plan.dataset.test.inputs, [cell])[0]


def _strange(data: Dataset, count: int) -> dict[str, np.ndarray]:
    random, shape = np.random.RandomState(0), (count, *data.input_shape)
    origin, scale = units_of(data)
    if data.kind == "signal":
        noise = (origin + scale * random.standard_normal(shape)).astype(np.float32)
        smooth = corrupt("signal", np.zeros(shape, np.float32), "correlated_noise", 4, 0, (0, 1))
        found = {"noise": noise, "smooth noise": (origin + scale * smooth).astype(np.float32)}
        if data.input_shape == (40,):
            found["other strokes"] = datasets.load("mnist1d_far").test.inputs[:count]
        return found
    uniform = random.random_sample(shape)
    blobs = corrupt("image", uniform, "gaussian_blur", 5, units=(0.0, 1.0))
    blobs = np.clip(0.5 + 6 * (blobs - 0.5), 0, 1)
    found = {
        name: (origin + scale * each).astype(data.test.inputs.dtype)
        for name, each in (("noise", uniform), ("blobs", blobs))
    }
    side = data.input_shape[0]
    if data.input_shape == (side, side) and 28 % side == 0:  # clothes, or smaller: digits are none
        digits = datasets.load("digits").test.inputs[:count] / 16
        grown = np.pad(digits.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))
        grown = grown.reshape(len(grown), side, 28 // side, side, 28 // side).mean(axis=(2, 4))
        found["digits"] = (origin + scale * grown).astype(data.test.inputs.dtype)
    return found


def _auroc(above: Floats, below: Floats) -> float:
    """The probability that one of the former is larger, ties for a half."""
    ranked = np.sort(below)
    lower = np.searchsorted(ranked, above, side="left")
    upper = np.searchsorted(ranked, above, side="right")
    return float((lower + upper).mean() / (2 * len(ranked)))
