"""What is claimed of confidence; rules, predictions and tolerances were fixed before any run."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from minima.claims.choosing import UndecidedError
from minima.claims.claim import AT_MOST, NUMBER, SIGN, WITHIN
from minima.claims.evidence import Floats
from minima.claims.seeded import Judge, Judged
from minima.tasks.datasets.corruptions import SEVERITIES
from parts.calibration.arms import (
    DRAWN,
    DROPOUT,
    ENSEMBLE,
    PLAIN,
    POOLED,
    SCALED,
    TEMPERATURE,
    VECTOR,
)
from parts.calibration.matched import ACCURACY, END, LOSS
from parts.calibration.measured import Measured

# Rule, prediction and tolerance; for SIGN the claimed size and the smallest effect of interest.
IN_BAND = (NUMBER, 95.0, 2.0, "% of sets")
CHANGED = (AT_MOST, 0.0, 0.5, "predictions")
RAISED = (AT_MOST, 0.0, 1e-9, "nats")
OVERCONFIDENT = (SIGN, 5.0, 1.0, "points")
HONEST = (WITHIN, 0.0, 3.0, "points")
REPAIRED = (AT_MOST, 0.0, 1 / 3, "of the ECE before")
AT_FLOOR = (AT_MOST, 0.0, 20.0, "% of networks")
SIMPLEST = (AT_MOST, 0.0, 0.01, "nats")
STAYS = (SIGN, 10.0, 2.0, "points")
FADES = (SIGN, 5.0, 1.0, "points")
STILL_HELPS = (SIGN, -5.0, 1.0, "points")
BEATS = (SIGN, -0.05, 0.01, "nats")
POOLING_HELPS = (SIGN, -2.0, 0.5, "points")
POOLING_SPOILS = (SIGN, 2.0, 0.5, "points")
DRAWS_HELP = (SIGN, -0.02, 0.005, "nats")
MATTERS_NOT = (WITHIN, 0.0, 2.0, "points")
WORSE_AT_END = (SIGN, 5.0, 1.0, "points")
ALIKE = 1.0  # points of accuracy by which compared cells may differ

_GUO = "Guo et al. 2017 (arXiv:1706.04599)"
_OVADIA = "Ovadia et al. 2019 (arXiv:1906.02530)"
_RAHAMAN = "Rahaman & Thiery 2021 (arXiv:2007.08792)"
_GAL = "Gal & Ghahramani 2016 (arXiv:1506.02142)"
_KESKAR = "Keskar et al. 2017 (arXiv:1609.04836); the question is this project's"
_PROTOCOL = "test set; whatever is fitted is fitted on validation examples; paired by seed"
_LAGS = "a logged training loss is a mean over the past updates, and lags where it falls fast"
_SHARED = "networks share their test and validation examples, so limits take them for too many"


def judge(found: Measured) -> list[Judged]:
    """Every claim that the data allow."""
    judge = Judge("calibration", _GUO, _PROTOCOL)
    judged = [*_must_hold(judge, found), *_overconfidence(judge, found), *_repair(judge, found)]
    if found.arms.corruptions:
        judged += _under_shift(judge, found)
    return [*judged, *_dropout(judge, found), *_plane(judge, found)]


def _must_hold(judge: Judge, found: Measured) -> Iterator[Judged]:
    yield judge.share(
        "calibrated-inside-the-band",
        "labels as likely as the networks say land inside the null band 95 % of the time",
        IN_BAND,
        found.inside,
        found.planted,
        source="Brocker & Smith 2007, Weather and Forecasting 22",
        protocol="confidences of networks as trained, 300 examples a set",
    )
    total = sum(each.predictions for each in found.states)
    yield judge.exact(
        "temperature-keeps-predictions",
        "temperature scaling changes no prediction",
        CHANGED,
        sum(each.changed for each in found.states),
        notes=(f"of {total:,} predictions on validation and test examples",),
    )
    yield judge.exact(
        "temperature-keeps-validation-loss",
        "temperature scaling never raises the loss of the examples that it is fitted on",
        RAISED,
        max(each.raised for each in found.states),
        notes=("the most over all kept states; below 0: it lowered every one",),
    )


def _overconfidence(judge: Judge, found: Measured) -> Iterator[Judged]:
    over = found.over_training("overconfidence")
    end, stop = over[:, -1], found.at_stop("overconfidence")
    gain = found.over_training("accuracy")[:, -1] - found.at_stop("accuracy")
    yield judge.over_seeds(
        "longer-training-overconfident",
        "trained beyond its best validation loss, a network gets more overconfident",
        OVERCONFIDENT,
        end - stop,
        notes=(f"accuracy meanwhile: {gain.mean():+.2f} points",),
    )
    yield judge.over_seeds(
        "stopped-early-honest",
        "where its validation loss is best, it is as sure as it is right",
        HONEST,
        stop,
        notes=(
            "the loss prices errors of ranking, too: it is best where networks are overconfident",
        )
        if stop.mean() > HONEST[2]
        else (),
    )
    lesser = (
        ("larger", found.narrow, 1, "a wide network gets more overconfident than a narrow one"),
        ("fewer-examples", found.few, -1, "few examples make the same network more overconfident"),
    )
    for key, others, side, words in lesser:
        if others is not None:
            count = len(others.temperature)
            more = found.over_training("accuracy")[:count, -1] - others.raw["accuracy"]
            yield judge.over_seeds(
                f"{key}-overconfident",
                f"after as many updates {words}",
                OVERCONFIDENT,
                side * (end[:count] - others.raw["overconfidence"]),
                notes=(f"its accuracy: {side * more.mean():+.2f} points",),
            )


def _repair(judge: Judge, found: Measured) -> Iterator[Judged]:
    arms = found.arms
    before, after = arms.of(PLAIN, "ece"), arms.of(TEMPERATURE, "ece")
    off = before > 2 * arms.of(PLAIN, "null_mean")
    yield judge.over_seeds(
        "temperature-repairs",
        "where the ECE is twice what a calibrated network has, temperature takes it to a third",
        REPAIRED,
        after[off] / before[off],
        notes=(
            f"{off.sum()} of {len(off)} networks; means {before.mean():.2f} and {after.mean():.2f} "
            f"points, {arms.of(TEMPERATURE, 'null_mean').mean():.2f} if calibrated",
        ),
    )
    yield judge.share(
        "temperature-reaches-the-floor",
        "after it, hardly a network can be told from a calibrated one by its ECE",
        AT_FLOOR,
        int((arms.of(TEMPERATURE, "inside") == 0).sum()),
        found.seeds,
        notes=(
            f"outside with a scale and a shift for every class: "
            f"{100 * (1 - arms.of(VECTOR, 'inside').mean()):.0f} %",
            _SHARED,
        ),
    )
    yield judge.over_seeds(
        "temperature-is-enough",
        "one temperature is as good as a scale and a shift for every class",
        SIMPLEST,
        arms.of(TEMPERATURE, "nll") - arms.of(VECTOR, "nll"),
    )


def _under_shift(judge: Judge, found: Measured) -> Iterator[Judged]:
    arms, worst = found.arms, SEVERITIES[-1]
    moved = f"at severity {worst} of {len(arms.corruptions)} corruptions"

    def of(arm: str, name: str) -> Floats:
        return arms.of(arm, name, worst)

    yield judge.over_seeds(
        "accuracy-falls-confidence-stays",
        f"{moved} overconfidence is larger than on clean examples",
        STAYS,
        of(PLAIN, "overconfidence") - arms.of(PLAIN, "overconfidence"),
        source=_OVADIA,
        notes=(
            f"accuracy {np.mean(of(PLAIN, 'accuracy') - arms.of(PLAIN, 'accuracy')):+.1f}, "
            f"confidence {np.mean(of(PLAIN, 'confidence') - arms.of(PLAIN, 'confidence')):+.1f} "
            "points",
        ),
    )
    yield judge.over_seeds(
        "temperature-fades",
        f"{moved} the ECE after temperature scaling is larger than on clean examples",
        FADES,
        of(TEMPERATURE, "ece") - arms.of(TEMPERATURE, "ece"),
        source=_OVADIA,
    )
    yield judge.over_seeds(
        "temperature-still-helps",
        f"{moved} the ECE is smaller after temperature scaling than before",
        STILL_HELPS,
        of(TEMPERATURE, "ece") - of(PLAIN, "ece"),
        source=_OVADIA,
    )
    for key, arm, words in (
        ("ensemble", ENSEMBLE, "an ensemble has a lower loss than its members with temperatures"),
        ("pooled", POOLED, "an ensemble with a temperature of its own has a lower one"),
    ):
        for severity, where in ((0, "on clean examples"), (worst, moved)):
            errors = arms.of(arm, "ece", severity), arms.by_ensemble(TEMPERATURE, "ece", severity)
            yield judge.over_seeds(
                f"{key}-beats-temperature-{'shifted' if severity else 'clean'}",
                f"{where} {words}",
                BEATS,
                arms.of(arm, "nll", severity) - arms.by_ensemble(TEMPERATURE, "nll", severity),
                source=_OVADIA if arm == ENSEMBLE else _RAHAMAN,
                protocol=f"{_PROTOCOL}; {arms.members} members, none in two ensembles",
                notes=(
                    f"ECE {errors[0].mean():.1f} against {errors[1].mean():.1f} points; members as "
                    f"trained have a loss of {arms.of(PLAIN, 'nll', severity).mean():.2f} nats",
                ),
            )

    for severity, fixed, words in (
        (0, POOLING_SPOILS, "on clean examples an ensemble of scaled members has a larger ECE"),
        (worst, POOLING_HELPS, f"{moved} an ensemble of scaled members has a smaller ECE"),
    ):
        yield judge.over_seeds(
            f"pooling-scaled-members-{'shifted' if severity else 'clean'}",
            f"{words} than its members: pooling makes it less sure",
            fixed,
            arms.of(SCALED, "ece", severity) - arms.by_ensemble(TEMPERATURE, "ece", severity),
            source=_RAHAMAN,
        )


def _dropout(judge: Judge, found: Measured) -> Iterator[Judged]:
    arms = found.arms
    for severity in (0, SEVERITIES[-1]) if arms.corruptions else (0,):
        where = f"at severity {severity} of shift" if severity else "on clean examples"
        yield judge.over_seeds(
            f"dropout-draws-help-{'shifted' if severity else 'clean'}",
            f"{where} Monte Carlo dropout has a lower loss than the same network without draws",
            DRAWS_HELP,
            arms.of(DRAWN, "nll", severity) - arms.of(DROPOUT, "nll", severity),
            source=_GAL,
            notes=(
                f"overconfidence {arms.of(DRAWN, 'overconfidence', severity).mean():+.1f} with "
                f"draws, {arms.of(DROPOUT, 'overconfidence', severity).mean():+.1f} without",
            ),
        )


def _plane(judge: Judge, found: Measured) -> Iterator[Judged]:
    plane = found.plane
    asked = (
        (
            "batch-size",
            f"batches of {plane.batch_sizes[0]:,} instead of {plane.batch_sizes[-1]:,}",
            plane.batch_contrast,
        ),
        (
            "learning-rate",
            f"rates of {plane.rates[-1]:g} instead of {plane.rates[0]:g}",
            plane.rate_contrast,
        ),
    )
    for key, words, contrast in asked:
        for place, name, scaled, sentence in (
            (
                ACCURACY,
                "overconfidence",
                False,
                "do not matter for overconfidence where accuracy is the same",
            ),
            (
                LOSS,
                "overconfidence",
                False,
                "do not matter for overconfidence where training loss is the same",
            ),
            (ACCURACY, "ece", True, "do not matter for the ECE after temperature at one accuracy"),
        ):
            values, gap = contrast(place, name, scaled), contrast(place, "accuracy")
            yield judge.over_seeds(
                f"{key}-at-one-{place.replace(' ', '-')}{'-after-temperature' * scaled}",
                f"{words} {sentence}",
                MATTERS_NOT,
                partial(_there, values),
                source=_KESKAR,
                notes=(*_differ(gap), *([_LAGS] if place == LOSS else [])),
                caveat=_unequal(gap) if place == ACCURACY else "",
            )
    gap = plane.batch_contrast(END, "accuracy")
    yield judge.over_seeds(
        "large-batch-overconfident",
        "after the same epochs large batches leave a network more overconfident than small ones",
        WORSE_AT_END,
        lambda: _there(-plane.batch_contrast(END, "overconfidence")),
        source=_KESKAR,
        notes=(f"their accuracy: {-gap.mean():+.2f} points",),
    )


def _there(values: Floats) -> Floats:
    """Those seeds in which both cells get to where they are compared."""
    found = values[np.isfinite(values)]
    if len(found) < 2:
        raise UndecidedError("2 or more seeds in which both cells cross what they are compared at")
    return found


def _differ(gap: Floats) -> list[str]:
    if not np.isfinite(gap).any():
        return []
    return [f"accuracy differs by {np.nanmean(gap):+.2f} points"]


def _unequal(gap: Floats) -> str:
    if np.isfinite(gap).any() and abs(np.nanmean(gap)) > ALIKE:
        return f"test accuracies differ by more than {ALIKE:g} point all the same"
    return ""
