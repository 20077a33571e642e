"""The checks behind `audit`: each compares limits with the fault that matters."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from minima.evaluation import calibration, disparity
from minima.evaluation.audit import (
    BLOCKED,
    CONFIDENCE,
    COVERAGE,
    GROUPS,
    NOT_ANSWERABLE,
    OK,
    SHORTCUTS,
    Evidence,
    Finding,
)
from minima.evaluation.limits import Limits
from minima.evaluation.rates import share
from minima.evaluation.shortcuts import find_shortcuts

_RATES = ("selection_rate", "true_positive_rate", "false_positive_rate")
_RESAMPLES, _DRAWS = 1999, 499
_LEVEL = 0.05  # of false blocks, shared among the checks of a question


def coverage(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Values that the deployment has and the test set lacks, weak slices, and shifted features."""
    if not evidence.covered:
        yield Finding(
            COVERAGE,
            "what the deployment varies in",
            NOT_ANSWERABLE,
            "no column says where, when or on what a test example was taken",
            "name such columns, and give the deployment's own",
        )
    for name, values in evidence.covered.items():
        if name not in evidence.deployed:
            yield Finding(
                COVERAGE,
                f"{name} in the deployment",
                NOT_ANSWERABLE,
                f"the test set has {len(np.unique(values))} values of {name}; the deployment's are "
                "not given",
                f"give {name} of examples from the deployment",
            )
            continue
        if _is_numeric(values) and _is_numeric(evidence.deployed[name]):
            yield _shift(name, values.astype(float), evidence.deployed[name].astype(float), limits)
        else:
            yield from _slices(evidence, name, limits)


def shortcuts(evidence: Evidence, limits: Limits, seed: int) -> Iterator[Finding]:
    """Whether accuracy depends on a candidate cue."""
    if not evidence.cues:
        yield Finding(
            SHORTCUTS,
            "candidate cues",
            NOT_ANSWERABLE,
            "no column says what may go with the label by accident",
            "name candidate cues (source, background, markers, words), or stress sets without them",
        )
        return
    for cue in find_shortcuts(evidence.labels, evidence.decided, evidence.cues, _RESAMPLES, seed):
        check = f"dependence on {cue.name}"
        few = min(cue.aligned.n, cue.conflicting.n)
        if cue.reason or few < limits.least:
            yield Finding(
                SHORTCUTS,
                check,
                NOT_ANSWERABLE,
                cue.reason or f"{few} examples go against {cue.name}",
                f"collect {limits.least} examples in which {cue.name} goes against the label",
            )
            continue
        text = (
            f"accuracy {_percent(cue.aligned.value)} where it goes with the label, "
            f"{_percent(cue.conflicting.value)} where against: "
            f"{_points(cue.dependence, cue.low, cue.high)}"
        )
        if cue.low > limits.dependence and cue.p <= _LEVEL / len(evidence.cues):
            remedy = "train without the cue, or with it broken; report accuracy on a stress set"
            yield Finding(SHORTCUTS, check, BLOCKED, text, remedy)
        elif cue.high > limits.dependence:
            needed = f"more examples that go against the cue than {few}: about {4 * few:,}"
            yield Finding(SHORTCUTS, check, NOT_ANSWERABLE, text, needed)
        else:
            yield Finding(SHORTCUTS, check, OK, text)


def groups(evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """How far apart groups, and their intersections, are in three rates; for classes, accuracy."""
    attributes = dict(evidence.groups)
    if len(attributes) > 1:
        crossed = disparity.intersections(*attributes.values())
        attributes[" & ".join(attributes)] = crossed
    attributes = {name: v for name, v in attributes.items() if len(np.unique(v)) > 1}
    if not attributes:
        yield Finding(
            GROUPS,
            "groups of people",
            NOT_ANSWERABLE,
            "no column with two groups or more says who an example is about",
            "give the attributes that must not decide, for the test set only",
        )
    asked = _RATES if evidence.probabilities.shape[1] == 2 else ("accuracy",)
    for name, values in attributes.items():
        kept, small = _large_enough(values, limits.least)
        if small:
            yield Finding(
                GROUPS,
                f"size of groups by {name}",
                NOT_ANSWERABLE,
                f"fewer than {limits.least} test examples of {', '.join(small)}",
                f"collect {limits.least} of each, or join groups where that is sound",
            )
        if len(np.unique(values[kept])) < 2:
            continue
        for rate in asked:
            level = _LEVEL / (len(attributes) * len(asked))
            yield _gap(evidence, (name, values[kept]), kept, rate, limits, level)


def confidence(evidence: Evidence, limits: Limits, seed: int) -> Iterator[Finding]:
    """Whether confidence is accuracy, of everybody and of each group."""
    whom = {"everybody": np.ones(len(evidence), bool)}
    for name, values in evidence.groups.items():
        whom |= {f"{name} {value}": values == value for value in np.unique(values)}
    large = {name: inside for name, inside in whom.items() if inside.sum() >= limits.least}
    if not large:
        text = f"{len(evidence)} test examples"
        needed = f"{limits.least} test examples or more"
        yield Finding(CONFIDENCE, "calibration", NOT_ANSWERABLE, text, needed)
    for name, inside in large.items():
        yield _calibrated(evidence, inside, name, limits, _LEVEL / len(large), seed)


def _slices(evidence: Evidence, name: str, limits: Limits) -> Iterator[Finding]:
    here, there = evidence.covered[name], evidence.deployed[name]
    values, counts = np.unique(there, return_counts=True)
    wanted = values[counts >= limits.rare * len(there)]
    n = {value: int((here == value).sum()) for value in wanted}
    missing = [value for value in wanted if n[value] == 0]
    thin = [value for value in wanted if 0 < n[value] < limits.least]
    share_missing = counts[np.isin(values, missing)].sum() / len(there)
    if missing:
        yield Finding(
            COVERAGE,
            f"{name} that the test set lacks",
            BLOCKED,
            f"{len(missing)} of {len(wanted)} values, {_percent(share_missing)} of the deployment: "
            f"{_listed(missing)}",
            f"test on {limits.least} examples of each, or do not release there",
        )
    if thin:
        yield Finding(
            COVERAGE,
            f"{name} with few examples",
            NOT_ANSWERABLE,
            f"fewer than {limits.least} test examples of {_listed(thin)}",
            f"collect {limits.least} of each",
        )
    overall = float(evidence.right.mean())
    for value in wanted:
        if n[value] < limits.least:
            continue
        found = share(evidence.right[here == value], np.ones(n[value]))
        if found.high < overall - limits.drop:
            yield Finding(
                COVERAGE,
                f"accuracy on {name} {value}",
                BLOCKED,
                f"{_percent(found.value)} [{_percent(found.low)}, {_percent(found.high)}] against "
                f"{_percent(overall)} of all",
                f"train on more of {value}, or do not release there",
            )
    if not missing and not thin:
        yield Finding(
            COVERAGE,
            f"{name} of the deployment",
            OK,
            f"all {len(wanted)} values have {limits.least} test examples or more",
        )


def _shift(name: str, here: NDArray, there: NDArray, limits: Limits) -> Finding:
    distance = float(stats.ks_2samp(here, there).statistic)
    # So far off the true distance are 5 % of samples, at most.
    chance = 1.36 * math.sqrt(1 / len(here) + 1 / len(there))
    low, high = max(0.0, distance - chance), distance + chance
    text = f"Kolmogorov-Smirnov distance {distance:.3f} [{low:.3f}, {high:.3f}]"
    check = f"{name} against the deployment"
    if low > limits.shift:
        remedy = "test on examples like the deployment's, or reweight them"
        return Finding(COVERAGE, check, BLOCKED, text, remedy)
    if high > limits.shift or min(len(here), len(there)) < limits.least:
        needed = f"{math.ceil(8 * (1.36 / limits.shift) ** 2):,} examples of both"
        return Finding(COVERAGE, check, NOT_ANSWERABLE, text, needed)
    return Finding(COVERAGE, check, OK, text)


def _gap(
    evidence: Evidence,
    attribute: tuple[str, NDArray],
    kept: NDArray,
    rate: str,
    limits: Limits,
    level: float,
) -> Finding:
    if rate == "accuracy":
        labels, decided = np.ones(int(kept.sum()), int), evidence.right[kept].astype(int)
    else:
        labels, decided = evidence.labels[kept], evidence.decided[kept]
    name, values = attribute
    arguments = (rate, labels, decided, values)
    found = disparity.gap(*arguments)
    check = f"{rate.replace('_', ' ')} by {name}"
    if found.reason:
        return Finding(GROUPS, check, NOT_ANSWERABLE, found.reason, "give examples of both labels")
    text = (
        f"{_points(found.difference, found.low, found.high)} from {found.smallest} to "
        f"{found.largest}"
    )
    if disparity.gap(*arguments, confidence=1 - level).low > limits.gap:
        remedy = "find what stands in for the group, and mitigate; or justify the difference"
        return Finding(GROUPS, check, BLOCKED, text, remedy)
    if found.high > limits.gap:
        needed = f"about {_more(found.low, found.high, limits.gap)} times the test examples"
        return Finding(GROUPS, check, NOT_ANSWERABLE, text, needed)
    return Finding(GROUPS, check, OK, text)


def _calibrated(
    evidence: Evidence, inside: NDArray, whom: str, limits: Limits, level: float, seed: int
) -> Finding:
    p, y = evidence.probabilities[inside], evidence.labels[inside]
    if p.shape[1] == 2:  # of class 1: for one decision both sides count
        sure, right = p[:, 1], y == 1
    else:
        sure, right = calibration.top(p, y)
    bins = int(np.clip(len(y) // 50, 2, calibration.BINS))
    band = calibration.null_band(sure, right, bins, equal_mass=True, draws=_DRAWS, seed=seed)
    error = calibration.debiased_ece(sure, right, bins)
    low, high = calibration.calibration_limits(sure, right, bins)
    text = (
        f"calibration error {error:.3f} [{low:.3f}, {high:.3f}], without the bias of bins; ECE "
        f"{band.value:.3f}, a calibrated model's {band.low:.3f} to {band.high:.3f}"
    )
    check = f"calibration of {whom}"
    strict, _ = calibration.calibration_limits(sure, right, bins, 1 - level)
    if strict > limits.calibration and band.p <= level:
        remedy = (
            "recalibrate on held-out examples (temperature, Platt, isotonic), by group if need be"
        )
        return Finding(CONFIDENCE, check, BLOCKED, text, remedy)
    if high > limits.calibration:
        times = max(2, math.ceil((high / limits.calibration) ** 2))
        needed = f"about {times} times as many test examples"
        return Finding(CONFIDENCE, check, NOT_ANSWERABLE, text, needed)
    return Finding(CONFIDENCE, check, OK, text)


def _more(low: float, high: float, tolerance: float) -> int:
    """By what factor more data would shrink the limits to a quarter of the tolerance."""
    return max(2, math.ceil(((high - low) / (tolerance / 2)) ** 2))


def _large_enough(values: NDArray, least: int) -> tuple[NDArray, list[str]]:
    names, counts = np.unique(values, return_counts=True)
    small = names[counts < least]
    return ~np.isin(values, small), [str(name) for name in small]


def _is_numeric(values: NDArray) -> bool:
    return values.dtype.kind == "f"


def _listed(values: list) -> str:
    shown = ", ".join(map(str, values[:8]))
    return shown + (f" and {len(values) - 8} more" if len(values) > 8 else "")


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _points(value: float, low: float, high: float) -> str:
    return f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}] points"
