"""What is claimed of a shift; rules, predictions and tolerances were fixed before any run."""

from collections.abc import Iterator

import numpy as np

from minima.claims.claim import AT_MOST, NUMBER, SIGN, WITHIN
from minima.claims.seeded import Judge, Judged
from parts.distribution_shift.config import IMAGES, SIGNALS
from parts.distribution_shift.measured import Measured
from parts.distribution_shift.months import ALERT, ALWAYS, NEVER
from parts.distribution_shift.networks import PERCENT
from parts.distribution_shift.streams import WHOLE

# Rule, prediction and tolerance; for SIGN the claimed size and the smallest effect of interest.
FALLS = (SIGN, -20.0, 5.0, "points")
OVERCONFIDENT = (SIGN, 10.0, 2.0, "points")
STAYS = (SIGN, -10.0, 2.0, "points")  # the fall of confidence less half that of accuracy
STRANGERS_SURE = (SIGN, 30.0, 10.0, "% of inputs")
BETTER_PRIORS = (SIGN, -5.0, 1.0, "points of total variation")
CORRECTED = (SIGN, 2.0, 0.5, "points")
ON_LINE = (AT_MOST, 0.0, 10.0, "% of the variance of probits")
FALSE_ALARMS = (NUMBER, 5.0, 1.0, "% of streams")
HELD = (AT_MOST, 0.0, 5.0, "% of streams")
MISSED = (AT_MOST, 0.0, 20.0, "% of streams")
RETRAINED = (SIGN, 5.0, 1.0, "points")
AS_GOOD = (WITHIN, 0.0, 3.0, "points")
CHEAPER = (AT_MOST, 0.0, 50.0, "% of retrainings")

_OVADIA = "Ovadia et al. 2019 (arXiv:1906.02530)"
_HENDRYCKS = "Hendrycks & Dietterich 2019 (arXiv:1903.12261)"
_MILLER = "Miller et al. 2021 (arXiv:2107.04649)"
_LIPTON = "Lipton et al. 2018 (arXiv:1802.03916)"
_RABANSER = "Rabanser et al. 2019 (arXiv:1810.11953)"
_PROTOCOL = "the same networks and test examples before and after, paired by seed"
DATA = {IMAGES: "images", SIGNALS: "signals"}


def judge(found: Measured) -> list[Judged]:
    """Every claim, in the order of the lesson."""
    of = Judge("distribution_shift", _OVADIA, _PROTOCOL)
    return [
        *_corruptions(of, found),
        *_real(of, found),
        *_strangers(of, found),
        *_priors(of, found),
        *_alarms(of, found),
        *_months(of, found),
    ]


def _corruptions(of: Judge, found: Measured) -> Iterator[Judged]:
    for name, each in found.robustness.items():
        words, worst = DATA[name], each.worst
        fall = worst.accuracy - each.clean.accuracy
        yield of.over_seeds(
            f"{name}-accuracy-falls",
            f"Corrupted at severity 5, {words} are recognised less often than clean ones (mean of "
            f"{len(each.names)} corruptions)",
            FALLS,
            fall,
            source=_HENDRYCKS,
        )
        yield of.over_seeds(
            f"{name}-overconfident",
            f"Confidence is further above accuracy on {words} corrupted at severity 5 than on "
            "clean ones",
            OVERCONFIDENT,
            worst.overconfidence - each.clean.overconfidence,
        )
        yield of.over_seeds(
            f"{name}-confidence-stays",
            f"Confidence falls by less than half as much as accuracy where {words} are corrupted "
            "at severity 5",
            STAYS,
            each.clean.confidence - worst.confidence + fall / 2,
        )


def _real(of: Judge, found: Measured) -> Iterator[Judged]:
    yield of.over_seeds(
        "real-accuracy-falls",
        "Digits of another source are recognised less often than held-out ones of the same",
        FALLS,
        found.abroad.accuracy - found.home.accuracy,
        source=_MILLER,
    )
    yield of.over_seeds(
        "real-overconfident",
        "Confidence is further above accuracy on digits of another source",
        OVERCONFIDENT,
        found.abroad.overconfidence - found.home.overconfidence,
    )
    line = found.line
    open_share = line.unexplained
    yield of.interval(
        "accuracy-on-the-line",
        f"Over {len(line.home)} models of one sweep, the probit of accuracy after the shift is a "
        "linear function of that before (R² above 0.9)",
        ON_LINE,
        open_share.map(lambda share: PERCENT * share),
        source=_MILLER,
        notes=(
            f"R² = {1 - open_share.estimate:.3f} [{1 - open_share.high:.3f}, "
            f"{1 - open_share.low:.3f}] over settings; slope {line.slope.estimate:.2f}; "
            f"{line.left_out} models failed or are below 20 % at home",
        ),
    )


def _strangers(of: Judge, found: Measured) -> Iterator[Judged]:
    for name, each in found.strangers.items():
        real = each[-1]
        yield of.over_seeds(
            f"{name}-strangers",
            f"Of inputs that are none of the classes ({real.name}, shown to a network for "
            f"{DATA[name]}) some get a confidence above 90 %",
            STRANGERS_SURE,
            real.sure,
            source="Hendrycks & Gimpel 2017 (arXiv:1610.02136)",
        )


def _priors(of: Judge, found: Measured) -> Iterator[Judged]:
    for name, each in found.priors.items():
        yield of.over_seeds(
            f"{name}-priors-estimated",
            f"Where one class of {DATA[name]} becomes half of all, the confusion matrix gives "
            "class frequencies nearer the truth than counting predictions does",
            BETTER_PRIORS,
            each.estimated - each.counted,
            source=_LIPTON,
        )
        yield of.over_seeds(
            f"{name}-priors-corrected",
            f"Reweighting probabilities by those frequencies makes more {DATA[name]} right",
            CORRECTED,
            each.corrected - each.accuracy,
            source=_LIPTON,
            notes=(f"by the true frequencies: {np.mean(each.known - each.accuracy):+.2f} points",),
        )


def _alarms(of: Judge, found: Measured) -> Iterator[Judged]:
    for name, each in found.null.items():
        yield of.share(
            f"false-alarms-{name.replace('_', '-')}",
            f"Alone, at 5 %, {name.replace('_', ' ')} alarms on 5 % of {each.trials:,} streams of "
            "noise without a shift",
            FALSE_ALARMS,
            each.hits,
            each.trials,
            source=_RABANSER,
            protocol="independent features, classes and errors; exact binomial limits",
        )
    whole = found.null_monitor[WHOLE]
    yield of.share(
        "false-alarms-monitor",
        f"The whole monitor alarms on at most 5 % of {whole.trials:,} streams of a network's own "
        "outputs without a shift",
        HELD,
        whole.hits,
        whole.trials,
        source=_RABANSER,
        protocol="launch and stream drawn from one pool of test examples; exact binomial limits",
    )
    last = found.power[WHOLE][-1]
    yield of.share(
        "shift-is-found",
        "The monitor misses at most a fifth of streams corrupted at severity 5",
        MISSED,
        last.trials - last.hits,
        last.trials,
        source=_RABANSER,
        protocol="noise, shear, gain, gaps and time warp from the stream's start, 150 examples",
    )


def _months(of: Judge, found: Measured) -> Iterator[Judged]:
    never, alert, always = (found.courses[policy] for policy in (NEVER, ALERT, ALWAYS))
    protocol = "mean accuracy over the months of one drift, paired by seed"
    yield of.over_seeds(
        "alert-beats-never",
        "Under slow drift, retraining on an alert is right more often than never retraining",
        RETRAINED,
        alert.accuracy.mean(axis=1) - never.accuracy.mean(axis=1),
        protocol=protocol,
    )
    yield of.over_seeds(
        "alert-as-good-as-always",
        "Under slow drift, retraining on an alert is as good as retraining every month",
        AS_GOOD,
        alert.accuracy.mean(axis=1) - always.accuracy.mean(axis=1),
        protocol=protocol,
    )
    counts = [[len(months) for months in each.retrainings] for each in (alert, always)]
    yield of.over_seeds(
        "alert-is-cheaper",
        "It retrains at most half as often",
        CHEAPER,
        PERCENT * np.array(counts[0]) / np.maximum(counts[1], 1),
        protocol="retrainings over the same months, by seed",
    )
