"""What sharp_vs_flat claims, under which rules and tolerances; their hash is in every verdict.

Sharpness is compared as a ratio of two minima of one seed, in doublings (log2): an interval is over
reporting seeds (Student's t). Accuracy is compared on the same test examples, which are resampled
too. Each interval is at 95 %, on its own. Rules are those of `claims.claim`.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from minima.claims.choosing import UndecidedError
from minima.claims.claim import NUMBER, SIGN, Claim, Measurement, Verdict, judge_claim
from minima.claims.evidence import NO_EVIDENCE, Evidence, Floats
from minima.claims.two_level import crossed_interval
from minima.statistics.intervals import Interval, t_interval
from parts.sharp_vs_flat.arms import Minima
from parts.sharp_vs_flat.association import taus
from parts.sharp_vs_flat.findings import Findings
from parts.sharp_vs_flat.panels import SHARPNESS, spelled

DOUBLING, LEAST_DOUBLING = 1.0, 0.25  # the claimed size of a ratio, and the least of interest
GAIN, LEAST_GAIN = 1.0, 0.5  # points of test accuracy, likewise
# At 40 % random labels Foret et al. found 93.4 % against 68.8 % (CIFAR-10, ResNet-32): a fifth of
# that is what the controls here must be able to see.
PUBLISHED_GAIN, NOISE_GAIN = 24.6, 5.0
TAU, LEAST_TAU = 0.5, 0.1  # rank correlation that a measure of generalisation claims, and the least

Judged = tuple[Claim, Verdict]

EQUAL, TUNED, RANDOM, PREDICTS = "equal rate", "tuned rate", "random labels", "predicts the gap"
ANDRIUSHCHENKO = "Andriushchenko 2023, arXiv:2302.07011"
TARGETS = {"sam": "sam_sharpness", "asam": "adaptive_sharpness"}  # what each makes small
CAUSE = "intervention"
KESKAR = "Keskar 2017, arXiv:1609.04836, section 2.2"
SAM, ASAM = "Foret 2021, arXiv:2010.01412", "Kwon 2021, arXiv:2102.11600"
NEYSHABUR = "Neyshabur 2017, arXiv:1706.08947"


def judge(found: Findings) -> list[Judged]:
    """Every claim on what was found."""
    return [(claim, judge_claim(claim, NO_EVIDENCE)) for claim in claims(found)]


def claims(found: Findings) -> Iterator[Claim]:
    """Those that runs were made for, in the order in which they are argued."""
    small, large, tuned = (found.main[name] for name in ("small", "large", "tuned"))
    for about, arm in ((EQUAL, large), (TUNED, tuned)):
        for name in SHARPNESS:
            yield _sharper(about, arm, small, name, KESKAR)
        yield _better(f"{about}: accuracy", small, arm, KESKAR)
    for key, source in (("sam", SAM), ("asam", ASAM)):
        if key in found.main:
            flat = found.main[key]
            yield _sharper(f"without {flat.name}", tuned, flat, TARGETS[key], source)
            yield _better(f"{flat.name}: accuracy", flat, tuned, source)
    if found.noisy is not None and found.noisy_sam is not None:
        yield _better("label noise: accuracy", found.noisy_sam, found.noisy, SAM, NOISE_GAIN)
        yield _as_published(found.noisy_sam, found.noisy)
    if found.random is not None and found.true is not None:
        for name in SHARPNESS:
            yield _sharper(RANDOM, found.random, found.true, name, NEYSHABUR)
    for name, (trunk, after) in found.switched.items():
        yield _sharper(before(name), trunk, after, "lambda_max", CAUSE)
        yield _better(f"{name}: accuracy", after, trunk, CAUSE)
    for name in SHARPNESS:
        yield _claim(
            f"{PREDICTS}: {name}",
            ANDRIUSHCHENKO,
            f"over batch sizes and rates, {spelled(name)} rises with the generalisation gap",
            (TAU, LEAST_TAU, "(Kendall's τ)"),
            partial(_association, runs=found.plane, name=name),
        )


def before(switch: str) -> str:
    """How the claim that a switch makes the minimum flatter begins."""
    return f"before {switch}"


def ratio(first: Minima, second: Minima, name: str) -> Floats:
    """log2 of a measure's ratio by seed, (S,).

    Raises:
      UndecidedError: a seed failed, or the measure is not positive somewhere.
    """
    over, under = first.values.get(name), second.values.get(name)
    if over is None or under is None or len(over) < 2:
        raise UndecidedError(f"{name} at two or more seeds of {first.name} and {second.name}")
    both = np.stack([over, under])
    if not (np.isfinite(both) & (both > 0)).all():
        bad = int((~(np.isfinite(both) & (both > 0))).any(0).sum())
        raise UndecidedError(f"positive {name} at all seeds; {bad} of {len(over)} have none")
    return np.asarray(np.log2(over / under), np.float64)


def ratio_interval(first: Minima, second: Minima, name: str) -> Interval | None:
    """Of `ratio`; None where there is none."""
    try:
        return t_interval(ratio(first, second, name))
    except UndecidedError:
        return None


def accuracy_interval(first: Minima, second: Minima) -> Interval:
    """Of test accuracy, first less second, in points, over seeds and test examples."""
    return crossed_interval(first.hits - second.hits)


def _sharper(about: str, sharp: Minima, flat: Minima, name: str, source: str) -> Claim:
    return _claim(
        f"{about}: {name}",
        source,
        f"{sharp.name} is sharper than {flat.name} by {spelled(name)}",
        (DOUBLING, LEAST_DOUBLING, "doublings"),
        partial(_ratio, first=sharp, second=flat, name=name),
    )


def _better(id: str, first: Minima, second: Minima, source: str, size: float = GAIN) -> Claim:
    return _claim(
        id,
        source,
        f"{first.name} tests better than {second.name}",
        (size, LEAST_GAIN, "points"),
        partial(_accuracy, first=first, second=second),
    )


def _as_published(first: Minima, second: Minima) -> Claim:
    """Whether the gain is of the published size: a number, not a sign."""
    low, high = NOISE_GAIN, 2 * PUBLISHED_GAIN - NOISE_GAIN
    claim = _claim(
        "label noise: published size",
        SAM,
        f"{first.name} gains what was published, or at least {low:g} points",
        (PUBLISHED_GAIN, (high - low) / 2, "points"),
        partial(_accuracy, first=first, second=second),
    )
    return replace(claim, rule=NUMBER)


def _claim(id: str, source: str, sentence: str, fixed: tuple, measure: partial) -> Claim:
    predicted, tolerance, unit = fixed
    return Claim(
        id=id,
        source=source,
        sentence=sentence,
        protocol="the same epochs from the same initial weights, paired by seed",
        rule=SIGN,
        predicted=predicted,
        tolerance=tolerance,
        unit=unit,
        needs=(),
        measure=measure,
        experiment="sharp_vs_flat",
    )


def _ratio(_: Evidence, first: Minima, second: Minima, name: str) -> Measurement:
    contrast = ratio(first, second, name)
    unsure = [
        f"not converged at {int(m.unsure[name].sum())} of {len(contrast)} seeds of {m.name}"
        for m in (first, second)
        if m.unsure[name].any()
    ]
    return Measurement(t_interval(contrast), contrast, notes=tuple(unsure))


def _association(_: Evidence, runs: tuple[Minima, ...], name: str) -> Measurement:
    by_seed = taus(runs, name)
    return Measurement(t_interval(by_seed), by_seed)


def _accuracy(_: Evidence, first: Minima, second: Minima) -> Measurement:
    if len(first.hits) < 2:
        raise UndecidedError("2 or more seeds")
    # Like is compared with like where seeds differ most: there a difference is most easily found.
    noisier = max(first.hits, second.hits, key=lambda hits: float(hits.mean(1).std()))
    contrast = first.hits - second.hits
    return Measurement(crossed_interval(contrast), contrast, noisier)
