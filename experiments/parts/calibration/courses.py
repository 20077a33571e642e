"""Calibration over training: kept states of a sweep, as they are and after temperature."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minima.evaluation.arrays import Floats, softmax
from minima.evaluation.recalibration import fit_temperature, nll_of_logits
from minima.record.snapshots import Snapshots
from minima.sweep.minima import Point, predict_logits
from minima.sweep.run import Prepared
from parts.calibration.scores import columns, scores

AT_A_TIME = 64  # states whose logits are held together


@dataclass(frozen=True)
class States:
    """Some kept states of one sweep.

    Attributes:
      raw, scaled: (states,) by name of SCORES, on the test set; as they are, and after the
        temperature that validation examples gave.
      temperature: (states,).
      validation_nll: (states,) of them as they are, in nats.
      changed: test and validation predictions that the temperature changed, over all states.
      raised: the most by which it raised a validation loss, in nats; negative where it never did.
      predictions: how many there were.
    """

    raw: dict[str, Floats]
    scaled: dict[str, Floats]
    temperature: Floats
    validation_nll: Floats
    changed: int
    raised: float
    predictions: int


def split_logits(prepared: Prepared, points: Sequence[Point]) -> tuple[np.ndarray, np.ndarray]:
    """Logits (points, n, classes) on the validation and on the test set, by one program."""
    plan = prepared.plan
    data, mesh = plan.dataset, plan.layout.make_mesh()
    inputs = np.concatenate([data.validation.inputs, data.test.inputs])
    found = predict_logits(plan, Snapshots(prepared.directory), points, inputs, mesh)
    return found[:, : len(data.validation)], found[:, len(data.validation) :]


def follow(prepared: Prepared, points: Sequence[Point], bins: int) -> States:
    """Scores of kept states before and after their temperature, which no test example chose."""
    data = prepared.plan.dataset

    def said() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for begin in range(0, len(points), AT_A_TIME):
            some = split_logits(prepared, points[begin : begin + AT_A_TIME])
            yield from zip(*some, strict=True)

    return score_states(said(), data.validation.labels, data.test.labels, bins)


def score_states(
    said: Iterable[tuple[np.ndarray, np.ndarray]], held: np.ndarray, labels: np.ndarray, bins: int
) -> States:
    """Scores of states of which logits of validation and of test examples are given.

    Args:
      said: for each state, (n, classes) of both.
      held, labels: of the validation and of the test examples.
      bins: of calibration errors.
    """
    raw, scaled, temperatures, losses = [], [], [], []
    changed, raised = 0, -np.inf
    for before, test in said:
        temperature = fit_temperature(before, held)
        loss, after = nll_of_logits(before, held), temperature(test)
        raw.append(scores(softmax(test), labels, bins))
        scaled.append(scores(after, labels, bins))
        temperatures.append(temperature.value)
        losses.append(loss)
        changed += int((after.argmax(axis=1) != test.argmax(axis=1)).sum())
        changed += int((temperature(before).argmax(axis=1) != before.argmax(axis=1)).sum())
        cooled = before.astype(np.float64) / temperature.value
        raised = max(raised, nll_of_logits(cooled, held) - loss)
    return States(
        columns(raw),
        columns(scaled),
        np.array(temperatures),
        np.array(losses),
        changed,
        raised,
        predictions=len(raw) * (len(held) + len(labels)),
    )
