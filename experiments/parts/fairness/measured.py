"""What trained networks decide, and what repairs after training make of it, as arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minima.evaluation import impossibility, proxies, review
from minima.evaluation.arrays import Bools, Floats
from minima.evaluation.disparity import gap
from minima.evaluation.proxies import Proxy
from minima.evaluation.thresholds import CRITERIA, fit_thresholds
from minima.record.snapshots import Snapshots
from minima.runtime.errors import UserError
from minima.sweep.minima import predict_logits
from minima.sweep.run import Prepared
from parts.fairness.config import FairnessConfig
from parts.fairness.people import Unit
from parts.fairness.sweeps import TRUTH, WITHOUT_ZIP, name_of

NOTHING, REWEIGHED = "nothing", "reweighing"
LEARNED_TRUTH, NO_ZIP = "the truth to learn from", "no zip code"
REVIEWED = "review by people"
# Of the test rows, in points: accuracies, and how far groups are apart.
MEASURES = (
    "accuracy_past",
    "accuracy_truth",
    "selection_gap",
    "opportunity_gap_past",
    "odds_gap_past",
    "opportunity_gap",
    "odds_gap",
)
# What each criterion makes small, and its name.
OWN_GAP = dict(
    zip(CRITERIA, ("selection_gap", "opportunity_gap_past", "odds_gap_past"), strict=True)
)
GAP_NAMES = {
    "selection_gap": "selection rate",
    "opportunity_gap_past": "true positive rate by the past",
    "odds_gap_past": "error rates by the past",
}
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)  # of the cases that people decide
PRICES = (0.01, 0.02, 0.05, 0.1)  # of accuracy, that equality may cost


def parity(strength: float, reweighed: bool = False) -> str:
    """The name of a repair in training."""
    return f"parity {strength:g}" + " and reweighing" * reweighed


def thresholds(criterion: str) -> str:
    """The name of a repair after training."""
    return f"thresholds for {criterion.replace('_', ' ')}"


@dataclass(frozen=True)
class Review:
    """What people make of a share of the cases, in points: (units,) each.

    accuracy, opportunity_gap: of all final decisions, judged by the truth.
    sent: how much larger the share sent is in one group than in another.
    """

    accuracy: Floats
    opportunity_gap: Floats
    sent: Floats


@dataclass(frozen=True)
class Measured:
    """Everything that is judged.

    Attributes:
      units: whose these are.
      repairs: by name, MEASURES by name, (units,).
      scores: (n,) of the first unit's test rows, with nothing repaired: how likely label 1 is.
      proxies: by unit, what each feature tells of the group.
      together, without_first: all features together, and all but the strongest proxy; first unit.
      shuffled: by feature, (units,) opportunity gap in points once it is another person's.
      reviews: by ("least sure" or "at random", share).
      pairs: by unit, what pairs of thresholds do, by the truth.
      shuffled_pairs: the same for groups drawn at random, whose base rates are equal.
      chouldechova, kleinberg: the largest residuals of their identities, and of how many.
    """

    units: Sequence[Unit]
    repairs: Mapping[str, Mapping[str, Floats]]
    scores: Floats
    proxies: Sequence[Sequence[Proxy]]
    together: Proxy
    without_first: Proxy
    shuffled: Mapping[str, Floats]
    reviews: Mapping[tuple[str, float], Review]
    pairs: Sequence[impossibility.Pairs]
    shuffled_pairs: Sequence[impossibility.Pairs]
    chouldechova: tuple[float, int]
    kleinberg: tuple[float, int]

    @property
    def decided(self) -> Bools:
        """(n,) what these scores decide."""
        return self.scores > 0.5

    @property
    def one_table(self) -> bool:
        """Whether all runs learn from the same people."""
        return len({id(unit.table) for unit in self.units}) < len(self.units)

    @property
    def over(self) -> str:
        """What means are over: "6 draws", or "6 runs on one table"."""
        return f"{len(self.units)} " + ("runs on one table" if self.one_table else "draws")


def measure(
    prepared: Mapping[str, Prepared], units: Sequence[Unit], config: FairnessConfig
) -> Measured:
    """Decides about all test rows, by every network and after every repair.

    Raises:
      UserError: a run diverged.
    """
    strengths = (0.0, *config.repairs.strengths)
    rows: list[dict[str, dict[str, float]]] = []
    residuals: list[float] = []
    balances: list[float] = []
    baseline, everything, shuffled = [], [], []
    for unit in units:
        scores = _Scores(prepared[unit.sweep], unit, len(strengths))
        plain = scores.of(0, 0)
        baseline.append(plain)
        decided = _decisions(scores, unit, strengths, config)
        for kind, name in ((TRUTH, LEARNED_TRUTH), (WITHOUT_ZIP, NO_ZIP)):
            if (other := prepared.get(name_of(kind, unit.draw))) is not None:
                decided[name] = _Scores(other, unit, 1).of(0, 0)[1] > 0.5
        rows.append({name: _numbers(d, unit) for name, d in decided.items()})
        for d in decided.values():
            residuals += _residuals(d, unit)
        calibrated = impossibility.calibrated_within(unit.test.truth, plain[1], unit.groups)
        for each in impossibility.balance(unit.test.truth, calibrated, unit.groups).values():
            balances.append(abs(each.residual))
        shuffled.append(scores.shuffled(unit))
        everything.append(proxies.find_proxies(unit.features(), unit.groups))
    first = units[0]
    known = first.features()
    others = {name: values for name, values in known.items() if name != everything[0][0].feature}
    return Measured(
        units=units,
        repairs={
            name: {what: np.array([row[name][what] for row in rows]) for what in MEASURES}
            for name in rows[0]
        },
        scores=baseline[0][1],
        proxies=everything,
        together=proxies.all_together(known, first.groups),
        without_first=proxies.all_together(others or known, first.groups),
        shuffled={name: np.array([each[name] for each in shuffled]) for name in shuffled[0]},
        reviews=_reviews(units, [plain[1] for plain in baseline], config),
        pairs=[_pairs(unit, plain[1]) for unit, plain in zip(units, baseline, strict=True)],
        shuffled_pairs=[
            _pairs(unit, plain[1], shuffled=True)
            for unit, plain in zip(units, baseline, strict=True)
        ],
        chouldechova=(max(residuals, default=float("nan")), len(residuals)),
        kleinberg=(max(balances), len(balances)),
    )


class _Scores:
    """Probabilities of class 1 by every network of a unit's sweep, on validation and test rows."""

    def __init__(self, prepared: Prepared, unit: Unit, strengths: int) -> None:
        self._plan, self._kept = prepared.plan, Snapshots(prepared.directory)
        self._mesh = self._plan.layout.make_mesh()
        data, seeds = self._plan.dataset, len(self._plan.config.grid.seeds)
        self._validation, self._test = data.validation.inputs, data.test.inputs
        cells = np.arange(len(self._plan.cells)).reshape(strengths, -1, seeds)
        self._cells = cells[:, :, unit.place]
        both = np.concatenate([self._validation, self._test])
        found = self._predict(self._cells.ravel().tolist(), both)
        self._found = found.reshape(*self._cells.shape, -1)

    def of(self, strength: int, reweighed: int) -> tuple[Floats, Floats]:
        """(validation rows,) and (test rows,), by the places along either axis."""
        found, count = self._found[strength, reweighed], len(self._validation)
        return found[:count], found[count:]

    def shuffled(self, unit: Unit) -> dict[str, float]:
        """The opportunity gap in points of the first network, once a feature is another's."""
        found, order = {}, np.random.default_rng(unit.draw).permutation(len(self._test))
        cell = [int(self._cells[0, 0])]
        for name in unit.table.features:
            mixed, places = self._test.copy(), unit.table.places(name)
            mixed[:, places] = mixed[order][:, places]
            both = np.concatenate([self._validation, mixed])
            decided = self._predict(cell, both)[0, len(self._validation) :] > 0.5
            found[name] = _numbers(decided, unit)["opportunity_gap"]
        return found

    def _predict(self, cells: list[int], inputs: NDArray[np.float32]) -> Floats:
        if any(not self._kept.steps(cell) for cell in cells):
            rate = self._plan.config.grid.learning_rates[0]
            raise UserError(
                f"--rate={rate:g}: a run diverged, and decides nothing; use a smaller one"
            )
        points = [(cell, self._kept.steps(cell)[-1]) for cell in cells]
        logits = predict_logits(self._plan, self._kept, points, inputs, self._mesh)
        apart = (logits[..., 1] - logits[..., 0]).astype(np.float64)
        return 0.5 * (1 + np.tanh(apart / 2))


def _decisions(
    scores: _Scores, unit: Unit, strengths: Sequence[float], config: FairnessConfig
) -> dict[str, Bools]:
    """(n,) about the test rows, by what was done."""
    validation, test = scores.of(0, 0)
    found = {NOTHING: test > 0.5, REWEIGHED: scores.of(0, 1)[1] > 0.5}
    for k, strength in enumerate(strengths[1:], 1):
        for reweighed in (False, True):
            found[parity(strength, reweighed)] = scores.of(k, int(reweighed))[1] > 0.5
    held = unit.validation.attributes[unit.attribute]
    for criterion in CRITERIA:
        fitted = fit_thresholds(unit.validation.labels, validation, held, criterion)
        found[thresholds(criterion)] = fitted.decide(test, unit.groups, unit.draw)
    sent = review.least_sure(test, config.repairs.review_share)
    skill = config.repairs.review_skill
    found[REVIEWED] = review.review(test > 0.5, unit.test.truth, sent, skill, unit.draw).decided
    return found


def _numbers(decided: Bools, unit: Unit) -> dict[str, float]:
    rows, of = unit.test, np.unique(unit.groups, return_inverse=True)[1]
    found = {
        "accuracy_past": float((decided == rows.labels).mean()),
        "accuracy_truth": float((decided == rows.truth).mean()),
        "selection_gap": _apart("selection_rate", rows.labels, decided, of),
    }
    for suffix, labels in (("_past", rows.labels), ("", rows.truth)):
        opportunity = _apart("true_positive_rate", labels, decided, of)
        false = _apart("false_positive_rate", labels, decided, of)
        found[f"opportunity_gap{suffix}"] = opportunity
        found[f"odds_gap{suffix}"] = max(opportunity, false)
    return {name: 100 * value for name, value in found.items()}


def _apart(rate: str, labels: NDArray, decided: Bools, of: NDArray) -> float:
    return gap(rate, labels, decided, of).difference


def _residuals(decided: Bools, unit: Unit) -> list[float]:
    """Of Chouldechova's identity, for every group, by the past and by the truth."""
    found = []
    for name in np.unique(unit.groups):
        inside = unit.groups == name
        for labels in (unit.test.labels, unit.test.truth):
            residual = impossibility.chouldechovas_residual(labels[inside], decided[inside])
            found.append(abs(residual))
    return [residual for residual in found if residual == residual]


def _reviews(
    units: Sequence[Unit], scores: Sequence[Floats], config: FairnessConfig
) -> dict[tuple[str, float], Review]:
    found = {}
    for share in sorted({*SHARES, config.repairs.review_share}):
        for how in ("least sure", "at random"):
            numbers = []
            for unit, score in zip(units, scores, strict=True):
                rng = np.random.default_rng((unit.draw, round(1000 * share)))
                order = score if how == "least sure" else rng.random(len(score))
                sent = review.least_sure(order, share)
                skill, truth = config.repairs.review_skill, unit.test.truth
                decided = review.review(score > 0.5, truth, sent, skill, unit.draw).decided
                here = _numbers(decided, unit)
                apart = 100 * _apart("selection_rate", truth, sent, unit.groups)
                numbers.append((here["accuracy_truth"], here["opportunity_gap"], apart))
            found[how, share] = Review(*np.array(numbers).T)
    return found


def _pairs(unit: Unit, scores: Floats, shuffled: bool = False) -> impossibility.Pairs:
    """By the best score there can be, where the generator knows it: no model is to blame."""
    best = scores if unit.test.chance is None else unit.test.chance
    of = np.random.default_rng(unit.draw).permutation(unit.groups) if shuffled else unit.groups
    return impossibility.threshold_pairs(unit.test.truth, best, of)
