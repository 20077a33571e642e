"""What is claimed of decisions learned from the past; rules were fixed before the data."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from minima.claims.claim import AT_MOST, NUMBER, SIGN
from minima.claims.seeded import Judge, Judged
from minima.evaluation.arrays import Floats
from minima.evaluation.disparity import Group
from minima.statistics.intervals import Interval
from parts.fairness.compas import ALL_ROWS, GROUPS
from parts.fairness.config import FairnessConfig
from parts.fairness.measured import (
    GAP_NAMES,
    LEARNED_TRUTH,
    NO_ZIP,
    NOTHING,
    OWN_GAP,
    REVIEWED,
    REWEIGHED,
    Measured,
    parity,
    thresholds,
)

# Rule, prediction and tolerance; for SIGN the claimed size and the smallest effect of interest.
TAUGHT = (SIGN, 10.0, 2.0, "points")
PAST_REWARDS = (SIGN, 0.5, 0.1, "points")
TRUTH_PUNISHES = (SIGN, -2.0, 0.5, "points")
TOLD = (SIGN, 0.1, 0.02, "of AUC")
STANDS_IN = (SIGN, 0.05, 0.01, "of AUC")
CARRIES = (SIGN, -5.0, 1.0, "points")
REMAINS = (SIGN, 3.0, 1.0, "points")
NARROWS = (SIGN, -3.0, 1.0, "points")
CLOSED = (AT_MOST, 0.0, 5.0, "points")
COSTS = (SIGN, -1.0, 0.2, "points")
GAINS = (SIGN, 1.0, 0.2, "points")
HELPS = (SIGN, 1.0, 0.2, "points")
LEFT = (SIGN, 5.0, 1.0, "points")
OVERDONE = (SIGN, -1.0, 0.2, "points")
IMPOSSIBLE = (SIGN, 2.0, 0.5, "points")
ROUNDING = (AT_MOST, 0.0, 1e-12, "")
# Angwin et al. 2016, in %, to the digits that their file gives: half a unit of the last one.
_HALF = 0.005
PUBLISHED = {"false_positive_rate": (44.85, 23.45), "false_negative_rate": (27.99, 47.72)}

_HARDT = "Hardt et al. 2016 (arXiv:1610.02413)"
_CHOULDECHOVA = "Chouldechova 2017 (arXiv:1703.00056)"
_KLEINBERG = "Kleinberg et al. 2017 (arXiv:1609.05807)"
_KAMIRAN = "Kamiran & Calders 2012, Knowledge and Information Systems 33"
_PROPUBLICA = "Angwin et al. 2016, ProPublica, Machine Bias"
_ONE_TABLE = "all runs share one table: the interval is one over weights and order, not over people"


def judge(
    found: Measured, config: FairnessConfig, compas: Mapping[str, list[Group]] | None
) -> list[Judged]:
    """Every claim that the data can speak to."""
    protocol = "test rows that nothing was fitted on; paired by draw of people"
    if not found.units[0].table.knows_truth:
        protocol = "test rows that nothing was fitted on; paired by seed; labels count as the truth"
    judge = Judge("fairness", "the course, lesson 4", protocol)
    notes = (_ONE_TABLE,) if found.one_table else ()
    judged = [*_past(judge, found), *_proxies(judge, found), *_without(judge, found)]
    judged += _repairs(judge, found, config, notes)
    judged += _reviewed(judge, found, config, notes)
    judged += _impossible(judge, found, config, notes)
    return judged + list(_propublica(judge, compas) if compas else ())


def change(found: Measured, name: str, measure: str, since: str = NOTHING) -> Floats:
    """(units,) of a measure, by a repair less by another, or by none."""
    return found.repairs[name][measure] - found.repairs[since][measure]


def _past(judge: Judge, found: Measured) -> Iterator[Judged]:
    """Where the truth is known, and can be learned from."""
    if LEARNED_TRUTH not in found.repairs:
        return
    yield judge.over_seeds(
        "the-past-teaches-it",
        "A network that never sees the group, learned from a past that drew lines, misses good "
        "applicants of one group more often than one learned from the truth",
        TAUGHT,
        change(found, NOTHING, "opportunity_gap", LEARNED_TRUTH),
    )
    yield judge.over_seeds(
        "judged-by-the-past-it-is-better",
        "Judged by the past's decisions, the network that learned them is more accurate than the "
        "one that learned the truth",
        PAST_REWARDS,
        change(found, NOTHING, "accuracy_past", LEARNED_TRUTH),
    )
    yield judge.over_seeds(
        "judged-by-the-truth-it-is-worse",
        "Judged by who repaid, it is less accurate",
        TRUTH_PUNISHES,
        change(found, NOTHING, "accuracy_truth", LEARNED_TRUTH),
    )


def _proxies(judge: Judge, found: Measured) -> Iterator[Judged]:
    unit, together = found.units[0], found.together
    attribute, n = unit.attribute, len(unit.test)
    for id, proxy, words in (
        ("features-tell-the-group", together, "All features together"),
        (
            "others-tell-it-too",
            found.without_first,
            f"Without {found.proxies[0][0].feature}, which tells most, all others together",
        ),
    ):
        limits = Interval(proxy.auc - 0.5, proxy.low - 0.5, proxy.high - 0.5, 0.95, n, "bootstrap")
        yield judge.interval(
            id,
            f"{words} tell the {attribute} of people, which is no feature, better than a coin",
            TOLD,
            limits,
            protocol="naive Bayes from half of the first test rows, on the other half",
        )
    zips = "zip_code"
    if zips not in found.shuffled or not unit.table.knows_truth:
        return
    yield judge.over_seeds(
        "zip-code-stands-in",
        "No other feature tells the group as well as the zip code",
        STANDS_IN,
        [
            next(proxy.auc for proxy in each if proxy.feature == zips)
            - max(proxy.auc for proxy in each if proxy.feature != zips)
            for each in found.proxies
        ],
    )
    yield judge.over_seeds(
        "zip-code-carries-it",
        "Given everybody another's zip code, the same network treats good applicants of both "
        "groups more alike",
        CARRIES,
        found.shuffled[zips] - found.repairs[NOTHING]["opportunity_gap"],
    )


def _without(judge: Judge, found: Measured) -> Iterator[Judged]:
    if NO_ZIP not in found.repairs:
        return
    yield judge.over_seeds(
        "leaving-it-out-is-not-enough",
        "A network trained without the zip code still treats them less alike than one that learned "
        "the truth",
        REMAINS,
        change(found, NO_ZIP, "opportunity_gap", LEARNED_TRUTH),
    )


def _repairs(
    judge: Judge, found: Measured, config: FairnessConfig, notes: Sequence[str]
) -> Iterator[Judged]:
    strongest, own = parity(config.repairs.strengths[-1]), OWN_GAP[config.training.parity]
    yield judge.over_seeds(
        "reweighing-narrows",
        "Reweighing people, so that group and label are independent, brings selection rates closer",
        NARROWS,
        change(found, REWEIGHED, "selection_gap"),
        source=_KAMIRAN,
        notes=notes,
    )
    yield judge.over_seeds(
        "parity-closes",
        f"A strong parity penalty brings groups within 5 points in {GAP_NAMES[own]}",
        CLOSED,
        found.repairs[strongest][own],
        notes=notes,
    )
    yield judge.over_seeds(
        "parity-costs-by-the-past",
        "It costs accuracy, judged by the labels that it learned from",
        COSTS,
        change(found, strongest, "accuracy_past"),
        notes=notes,
    )
    if LEARNED_TRUTH in found.repairs:
        mild = parity(config.repairs.judged_strength)
        yield judge.over_seeds(
            "parity-gains-by-the-truth",
            "A mild parity penalty gains accuracy, judged by who repaid",
            GAINS,
            change(found, mild, "accuracy_truth"),
        )
        yield judge.over_seeds(
            "parity-can-be-overdone",
            "A strong one, which makes groups more alike than they repay, is less accurate by the "
            "truth than a mild one",
            OVERDONE,
            change(found, strongest, "accuracy_truth", mild),
        )
    for criterion, measure in OWN_GAP.items():
        words = criterion.replace("_", " ")
        yield judge.over_seeds(
            f"thresholds-{criterion.replace('_', '-')}",
            f"Thresholds by group, fitted on held-out people, bring {words} within 5 points, "
            "judged by the labels of the past",
            CLOSED,
            found.repairs[thresholds(criterion)][measure],
            source=_HARDT,
            notes=notes,
        )


def _reviewed(
    judge: Judge, found: Measured, config: FairnessConfig, notes: Sequence[str]
) -> Iterator[Judged]:
    share = config.repairs.review_share
    unsure, drawn = (found.reviews[how, share] for how in ("least sure", "at random"))
    skill = f"reviewers are right in {config.repairs.review_skill:.0%}"
    yield judge.over_seeds(
        "review-helps-where-unsure",
        f"People who decide the {share:.0%} of cases that the network is least sure of raise "
        "accuracy more than people who decide as many at random",
        HELPS,
        unsure.accuracy - drawn.accuracy,
        notes=(*notes, skill),
    )
    if LEARNED_TRUTH in found.repairs:
        yield judge.over_seeds(
            "review-leaves-what-it-is-sure-of",
            "What the past taught it to be sure of is not reviewed: groups stay further apart than "
            "by the truth",
            LEFT,
            change(found, REVIEWED, "opportunity_gap", LEARNED_TRUTH),
            notes=(skill,),
        )


def _impossible(
    judge: Judge, found: Measured, config: FairnessConfig, notes: Sequence[str]
) -> Iterator[Judged]:
    price = config.repairs.price
    best = found.units[0].test.chance is not None
    yield judge.over_seeds(
        "not-all-at-once",
        "No pair of thresholds gives equal precision and equal error rates "
        + ("even by the true chance of repaying" if best else "by the network's scores")
        + f", at a price of up to {100 * price:g} points of accuracy: the largest gap is larger "
        "than for groups drawn at random",
        IMPOSSIBLE,
        [
            100 * (pairs.least(price) - others.least(price))
            for pairs, others in zip(found.pairs, found.shuffled_pairs, strict=True)
        ],
        source=f"{_CHOULDECHOVA}; {_KLEINBERG}",
        notes=notes,
    )
    for id, sentence, (residual, count), source in (
        (
            "chouldechovas-identity",
            "False positive rates follow from base rate, precision and false negative rate",
            found.chouldechova,
            _CHOULDECHOVA,
        ),
        (
            "kleinbergs-identity",
            "Calibrated scores, averaged by label, average to the base rate in every group",
            found.kleinberg,
            _KLEINBERG,
        ),
    ):
        yield judge.exact(
            id,
            f"{sentence}, up to rounding, in {count:,} tables",
            ROUNDING,
            residual,
            source=source,
        )


def _propublica(judge: Judge, tables: Mapping[str, list[Group]]) -> Iterator[Judged]:
    groups = {group.name: group for group in tables[ALL_ROWS]}
    for rate, published in PUBLISHED.items():
        for name, value in zip(GROUPS, published, strict=True):
            mine = groups[name].rates[rate]
            yield judge.exact(
                f"propublica-{rate.split('_')[1]}-{name.split('-')[0].lower()}",
                f"The {rate.replace('_', ' ')} of COMPAS is {value:g} % for {name} defendants",
                (NUMBER, value, _HALF, "%"),
                100 * mine.value,
                source=_PROPUBLICA,
                protocol="all rows of the given file; decided 1: scored Medium or High",
                notes=(
                    f"of {mine.n:,} people; exact 95 % limits {mine.low:.4f} to {mine.high:.4f}",
                ),
            )


def mean_limits(values: Floats) -> tuple[float, float, float]:
    """Mean and Student's 95 % limits over units; no limits for one."""
    from minima.statistics.intervals import t_interval

    if len(values) < 2 or np.ptp(values) == 0:
        return float(np.mean(values)), float("nan"), float("nan")
    interval = t_interval(values)
    return interval.estimate, interval.low, interval.high
