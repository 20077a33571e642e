"""What is claimed of transfer; rules, predictions and tolerances were fixed before any run."""

from collections.abc import Iterator

import numpy as np

from minima.claims.claim import SIGN, WITHIN
from minima.claims.seeded import Judge, Judged
from parts.transfer_learning.config import (
    DESTROYED,
    FEW,
    FULL,
    LARGE,
    MANY,
    PROBE,
    SAM,
    SMALL,
)
from parts.transfer_learning.curves import Curves, Floats

# Rule, prediction and tolerance; for SIGN the claimed size and the smallest effect of interest.
HELPS = (SIGN, 5.0, 1.0, "points")
CONVERGES = (WITHIN, 0.0, 2.0, "points")
SAVES = (SIGN, 1.0, 0.25, "doublings of the labels")
HARMS = (SIGN, -5.0, 1.0, "points")
MATTERS = (SIGN, 1.0, 0.5, "points")

_YOSINSKI = "Yosinski et al. 2014 (arXiv:1411.1792); Kornblith et al. 2019 (arXiv:1805.08974)"
_KESKAR = "Keskar et al. 2017 (arXiv:1609.04836)"
_SPRINGER = "Springer et al. 2024 (arXiv:2405.20439)"
_PROTOCOL = (
    "test accuracy, paired by seed; the same updates, batch size and schedule in every arm, each "
    "with its own rate, settled on other seeds"
)
# Learned after the first run, and said since: it can only weaken a verdict.
_UNEQUAL = "rates of both pretrainings were the highest of two tried, so neither is surely its best"
_SHARED = "all seeds share the labelled examples: the interval is one over weights and order"


def judge(found: Curves, compared: int) -> list[Judged]:
    """Every claim that the targets and numbers of labels allow."""
    judge = Judge("transfer_learning", _YOSINSKI, _PROTOCOL)
    intact = [target for target in found.targets if target != DESTROYED]
    judged = [each for target in intact for each in _few_and_many(judge, found, target)]
    judged += [_saves(judge, found, target, compared) for target in intact]
    if DESTROYED in found.targets:
        judged += _destroyed(judge, found, compared)
    return judged + list(_pretrainings(judge, found, intact, compared))


def _few_and_many(judge: Judge, found: Curves, target: str) -> Iterator[Judged]:
    for labels in found.labels:
        if labels <= FEW:
            yield judge.over_seeds(
                f"{target}-{labels}",
                f"With {labels} labels per class, fine-tuning beats training from scratch on the "
                f"{target} target",
                HELPS,
                found.gain(target, labels, FULL),
                notes=(_SHARED,),
            )
        if labels >= MANY:
            yield judge.over_seeds(
                f"{target}-{labels}-converges",
                f"With {labels:,} labels per class, fine-tuning is as good as training from "
                f"scratch on the {target} target",
                CONVERGES,
                found.gain(target, labels, FULL),
                notes=(_SHARED,),
            )


def _saves(judge: Judge, found: Curves, target: str, labels: int) -> Judged:
    factors, bounds = found.factors(target, labels, FULL)
    notes = (
        f"geometric mean of the factor: {np.exp(np.log(factors).mean()):.3g}",
        *([f"{bounds} of {len(factors)} seeds give a bound only"] if bounds else []),
    )
    return judge.over_seeds(
        f"{target}-labels-saved",
        f"Training from scratch needs twice the labels to equal fine-tuning on {labels} per class "
        f"of the {target} target",
        SAVES,
        np.log2(factors),
        protocol=f"{_PROTOCOL}; scratch's curve is read between numbers of labels, on a log scale",
        notes=notes,
    )


def _destroyed(judge: Judge, found: Curves, compared: int) -> list[Judged]:
    most = found.labels[-1]
    return [
        judge.over_seeds(
            "destroyed-fine-tuned",
            f"Where the order of points is lost, a pretrained start is worse than none, with "
            f"{compared} labels per class",
            HARMS,
            found.gain(DESTROYED, compared, FULL),
        ),
        judge.over_seeds(
            "destroyed-frozen",
            f"Where the order of points is lost, pretrained features are worse than learning from "
            f"scratch, with {most:,} labels per class",
            HARMS,
            found.gain(DESTROYED, most, PROBE),
        ),
    ]


def _pretrainings(judge: Judge, found: Curves, intact: list[str], labels: int) -> Iterator[Judged]:
    """Means over targets; beside them how much better the pretraining was on its own task."""

    def against(better: str, worse: str, name: str) -> Floats:
        pairs = [
            found.of(target, labels, name, better) - found.of(target, labels, name, worse)
            for target in intact
        ]
        return np.mean(pairs, axis=0)

    for name in (PROBE, FULL):
        how = "through a frozen probe" if name == PROBE else "fine-tuned as a whole"
        kinds = (
            ("batch", SMALL, LARGE, "small batches transfers better than on large ones", _KESKAR),
            ("sam", SAM, SMALL, "SAM's gradients transfers better than on plain ones", _SPRINGER),
        )
        for key, better, worse, words, source in kinds:
            own = float(np.mean(found.source[better] - found.source[worse]))
            yield judge.over_seeds(
                f"{key}-{name.replace(' ', '-')}",
                f"A network pretrained on {words}, {how}, with {labels} labels per class",
                MATTERS,
                against(better, worse, name),
                source=source,
                caveat=_UNEQUAL if key == "batch" else "",
                notes=(f"on the source itself, after the same epochs: {own:+.2f} points",),
            )
