"""Ways to an honest confidence, all from the same networks, on clean and on corrupted test sets.

Everything that is fitted is fitted on validation examples; the test set judges.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minima.evaluation import recalibration
from minima.evaluation.arrays import Floats, softmax
from minima.record.snapshots import Snapshots
from minima.sweep.minima import Point, predict_logits, predict_with_dropout
from minima.sweep.run import Prepared
from minima.tasks.datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt, units_of
from minima.tasks.datasets.dataset import Dataset
from parts.calibration.config import CalibrationConfig
from parts.calibration.scores import closer, columns, scores

PLAIN, STOPPED = "as trained", "stopped early"
TEMPERATURE, VECTOR, PLATT, ISOTONIC = "temperature", "vector", "Platt", "isotonic"
ENSEMBLE = "ensemble"
POOLED, SCALED = "ensemble, then temperature", "temperature, then ensemble"
DROPOUT, DRAWN = "dropout", "Monte Carlo dropout"
Repair = Callable[[Floats], Floats]
FITS: dict[str, Callable[[Floats, np.ndarray], Repair]] = {
    TEMPERATURE: recalibration.fit_temperature,
    VECTOR: recalibration.fit_vector,
    PLATT: recalibration.fit_platt_per_class,
    ISOTONIC: recalibration.fit_isotonic_per_class,
}
ARMS = (PLAIN, STOPPED, *FITS, ENSEMBLE, POOLED, SCALED, DROPOUT, DRAWN)


@dataclass(frozen=True)
class Chosen:
    """Which states stand for the networks: (cell, updates).

    Attributes:
      last, stopped: of networks without dropout, by seed: their ends, and their best validated.
      dropout: ends of the first networks trained with dropout.
    """

    last: Sequence[Point]
    stopped: Sequence[Point]
    dropout: Sequence[Point]


class Said(NamedTuple):
    """What the chosen states say of n inputs: logits (networks, n, classes), but `drawn`'s p."""

    last: Floats
    stopped: Floats
    dropout: Floats
    drawn: Floats


@dataclass(frozen=True)
class Arms:
    """Scores of every arm.

    Attributes:
      scores: by arm and severity (0: the test set itself), by name of SCORES and, at severity 0, of
        CLOSER: (units,), where a unit is a seed or an ensemble.
      examples: what each arm's probabilities are on the test set, (units, n, classes).
      corruptions: what the test sets were corrupted by; none where no corruption is for such data.
      members: of an ensemble.
    """

    scores: Mapping[str, Mapping[int, Mapping[str, Floats]]]
    examples: Mapping[str, Floats]
    corruptions: Sequence[str]
    members: int

    def of(self, arm: str, name: str, severity: int = 0) -> Floats:
        """(units,) of one arm."""
        return self.scores[arm][severity][name]

    def by_ensemble(self, arm: str, name: str, severity: int = 0) -> Floats:
        """(ensembles,) means over the members of each."""
        values = self.of(arm, name, severity)
        count = len(values) // self.members
        return values[: count * self.members].reshape(count, self.members).mean(axis=1)


def measure_arms(prepared: Prepared, chosen: Chosen, config: CalibrationConfig) -> Arms:
    """Predicts all sets by all chosen states, repairs, and scores."""
    data = prepared.plan.dataset
    names = tuple(CORRUPTIONS.get(data.kind, ()))

    def told() -> Iterator[tuple[Said, Said]]:
        yield _say(prepared, chosen, data.test.inputs, config)
        for severity in SEVERITIES if names else ():
            yield _say(prepared, chosen, corrupted(data, names, severity), config)

    labels = (data.validation.labels, data.test.labels)
    return score_arms(told(), labels, config.networks.members, config.looks.bins, names)


def score_arms(
    told: Iterable[tuple[Said, Said]],
    labels: tuple[np.ndarray, np.ndarray],
    members: int,
    bins: int,
    names: Sequence[str] = (),
) -> Arms:
    """Fits repairs to what is said of validation examples, and scores all arms.

    Args:
      told: what is said of validation and of test examples, as they are and then by severity.
      labels: of both.
      members: of an ensemble.
      bins: of calibration errors.
      names: of the corruptions.
    """
    found: dict[str, dict[int, dict[str, Floats]]] = {arm: {} for arm in ARMS}
    fitted: dict[str, list[Repair]] = {}
    examples: dict[str, Floats] = {}
    for severity, (held, said) in enumerate(told):
        fitted = fitted or _fit(held, labels[0], members)
        look = scores if severity else closer
        for arm, p in _probabilities(said, fitted, members):
            found[arm][severity] = columns(look(each, labels[1], bins) for each in p)
            if not severity:
                examples[arm] = p
    return Arms(found, examples, names, members)


def corrupted(data: Dataset, names: Sequence[str], severity: int) -> np.ndarray:
    """The test inputs, dealt out among the corruptions: each example meets one, the same always.

    So a shifted test set has the labels, and the chance error, of the clean one.
    """
    inputs, units = data.test.inputs.copy(), units_of(data)
    for i, name in enumerate(names):
        own = slice(i, None, len(names))
        inputs[own] = corrupt(data.kind, data.test.inputs[own], name, severity, units=units)
    return inputs


def _say(
    prepared: Prepared, chosen: Chosen, test: np.ndarray, config: CalibrationConfig
) -> tuple[Said, Said]:
    """Of the validation examples, and of a test set. Always together, so that one program does."""
    plan, kept = prepared.plan, Snapshots(prepared.directory)
    mesh, held = plan.layout.make_mesh(), plan.dataset.validation
    inputs = np.concatenate([held.inputs, test])
    points = [*chosen.last, *chosen.stopped, *chosen.dropout]
    logits = predict_logits(plan, kept, points, inputs, mesh)
    rates = [config.networks.dropout_rate] * len(chosen.dropout)
    drawn = predict_with_dropout(
        plan, kept, chosen.dropout, inputs, mesh, rates, config.looks.draws
    )
    ends = np.cumsum([len(chosen.last), len(chosen.stopped)])
    both = (*np.split(logits, ends), drawn)
    before, after = (each[:, : len(held)] for each in both), (each[:, len(held) :] for each in both)
    return Said(*before), Said(*after)


def _fit(before: Said, labels: np.ndarray, members: int) -> dict[str, list[Repair]]:
    """Every repair, fitted on validation examples: one per network, or per ensemble."""
    fitted = {name: [fit(z, labels) for z in before.last] for name, fit in FITS.items()}
    pooled = _pooled(np.stack([softmax(z) for z in before.last]), members)
    fitted[POOLED] = [recalibration.fit_temperature(_log(p), labels) for p in pooled]
    return fitted


def _probabilities(
    said: Said, fitted: Mapping[str, Sequence[Repair]], members: int
) -> Iterator[tuple[str, Floats]]:
    """Every arm with its probabilities, (units, n, classes), in the order of ARMS."""
    plain = np.stack([softmax(z) for z in said.last])
    yield PLAIN, plain
    yield STOPPED, np.stack([softmax(z) for z in said.stopped])
    repaired = {
        name: np.stack([repair(z) for repair, z in zip(fitted[name], said.last, strict=True)])
        for name in FITS
    }
    yield from repaired.items()
    pooled = _pooled(plain, members)
    yield ENSEMBLE, pooled
    # Pool, then calibrate: Rahaman & Thiery 2021 (arXiv:2007.08792).
    cooled = [repair(_log(p)) for repair, p in zip(fitted[POOLED], pooled, strict=True)]
    yield POOLED, np.stack(cooled)
    yield SCALED, _pooled(repaired[TEMPERATURE], members)
    yield DROPOUT, np.stack([softmax(z) for z in said.dropout])
    yield DRAWN, said.drawn.astype(np.float64)


def _pooled(p: Floats, members: int) -> Floats:
    """(ensembles, n, classes) mean probabilities; networks that fill no ensemble are left out."""
    starts = range(0, len(p) - members + 1, members)
    return np.stack([recalibration.mean_probabilities(p[i : i + members]) for i in starts])


def _log(p: Floats) -> Floats:
    """Logits of probabilities."""
    return np.log(np.maximum(p, np.finfo(np.float64).tiny))
