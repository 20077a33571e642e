"""Tables and figures of what was measured, for `lesson.present`."""

from collections.abc import Mapping, Sequence

import numpy as np

from judged import Judged
from lesson import Findings
from minima.evaluation import disparity, impossibility
from minima.evaluation.disparity import Group, by_group
from minima.evaluation.rates import rates
from minima.record.tables import Table, Value
from parts.fairness import figures
from parts.fairness.claims import change, mean_limits
from parts.fairness.config import FairnessConfig
from parts.fairness.measured import MEASURES, NOTHING, PRICES, Measured
from parts.fairness.people import every_grouping

_RATES = {
    "base_rate": "base_rate",
    "selection_rate": "selected",
    "true_positive_rate": "true_positive",
    "false_negative_rate": "false_negative",
    "true_negative_rate": "true_negative",
    "false_positive_rate": "false_positive",
    "precision": "precision",
    "negative_predictive_value": "negative_predictive",
    "accuracy": "accuracy",
    "auc": "auc",
}
_COMPARED = ("selection_rate", "true_positive_rate", "false_positive_rate", "precision", "accuracy")
_HIDDEN = ("true_negative", "negative_predictive", "false_negative")


def findings(
    found: Measured,
    judged: list[Judged],
    config: FairnessConfig,
    compas: Mapping[str, list[Group]] | None,
) -> Findings:
    """What to print, and which files to write."""
    first = found.units[0]
    tables = {
        "groups": groups_table(found, config.repairs.least),
        "gaps": _gaps(found),
        "mitigations": _mitigations(found),
        "proxies": _proxies(found),
        "review": _reviews(found),
        "impossibility": _impossibility(found),
    }
    if compas is not None:
        tables["compas"] = _compas(compas)
    pictures = {
        "groups": figures.groups(found, config.repairs.least),
        "mitigations": figures.mitigations(found, config),
        "impossibility": figures.impossibility(found),
        "proxies": figures.proxies(found),
    }
    facts = {
        "people": len(first.test),
        "attribute": first.attribute,
        "knows_truth": first.table.knows_truth,
        "stand_in": first.table.stand_in,
        "compas": compas is not None,
    }
    lines = [] if compas is not None else ["ProPublica's table: not asked; --compas=FILE gives it"]
    return Findings(tables, judged, pictures, facts, lines)


def judges(found: Measured) -> tuple[str, ...]:
    """By which labels decisions are judged."""
    return ("past", "truth") if found.units[0].table.knows_truth else ("past",)


def groups_table(found: Measured, least: int) -> Table:
    """Every rate of every group and intersection, judged by the past and by the truth."""
    rows: list[list[Value]] = []
    test = found.units[0].test
    for by in judges(found):
        labels = test.labels if by == "past" else test.truth
        for attribute, of in every_grouping(test).items():
            for group in by_group(labels, found.decided, of, least=least, scores=found.scores):
                row: list[Value] = [by, attribute, group.name, group.n, group.small]
                for rate in _RATES:
                    mine = group.rates[rate]
                    row += [mine.value, mine.low, mine.high, mine.n, mine.reason]
                rows.append(row)
    ends = ("", "_low", "_high", "_n", "_undefined")
    names = tuple(f"{name}{end}" for name in _RATES.values() for end in ends)
    hidden = (name for name in names if name not in _RATES.values() or name in _HIDDEN)
    return Table(
        f"every group, nothing repaired, {len(test):,} test rows of the first run; 95 % limits "
        "of every rate in groups.csv, exact, of the AUC DeLong's",
        ("judged_by", "attribute", "group", "people", "too_few", *names),
        rows,
        hidden=tuple(hidden),
        notes=(f"too few: fewer than {least} people, whose rates say little",),
    )


def _gaps(found: Measured) -> Table:
    rows: list[list[Value]] = []
    test = found.units[0].test
    for by in judges(found):
        labels = test.labels if by == "past" else test.truth
        for attribute, of in every_grouping(test).items():
            for rate in _COMPARED:
                gap = disparity.gap(rate, labels, found.decided, of)
                p = disparity.exceeds_chance(rate, labels, found.decided, of, permutations=199)
                row = [100 * x for x in (gap.difference, gap.low, gap.high)]
                rows.append([by, attribute, rate, *row, gap.ratio, p, gap.smallest, gap.largest])
    return Table(
        "how far apart groups are, nothing repaired, in points; limits of Newcombe, joint over "
        "pairs below; p by permuting groups",
        (
            "judged_by",
            "attribute",
            "rate",
            "gap",
            "low",
            "high",
            "ratio",
            "p",
            "smallest",
            "largest",
        ),
        rows,
        notes=(
            "selection rate: difference and ratio of demographic parity, four fifths is 0.8; true "
            "positive rate: equal opportunity; with the false positive rate: equalised odds",
        ),
    )


def _mitigations(found: Measured) -> Table:
    shown = [name for name in MEASURES if "truth" in judges(found) or _of_the_past(name)]
    columns = [f"{name}{end}" for name in shown for end in ("", "_low", "_high")]
    prices = [name for name in shown if name.startswith("accuracy")]
    changes = [f"{name}_change{end}" for name in prices for end in ("", "_low", "_high")]
    rows: list[list[Value]] = []
    for name, numbers in found.repairs.items():
        row: list[Value] = [name]
        for measure in shown:
            row += mean_limits(numbers[measure])
        for measure in prices:
            row += mean_limits(change(found, name, measure)) if name != NOTHING else (None,) * 3
        rows.append(row)
    hidden = [name for name in (*columns, *changes) if name.endswith(("_low", "_high"))]
    return Table(
        f"what is done, in points: means over {found.over}; 95 % t intervals in mitigations.csv",
        ("repair", *columns, *changes),
        rows,
        hidden=tuple(hidden),
        notes=(
            "gaps between groups: in selection rate; in true positive rate, judged by the past or "
            "by the truth; odds: the larger of that and the false positive rate's",
            "change: the price, less nothing repaired, paired by run",
        ),
    )


def _of_the_past(measure: str) -> bool:
    return measure.endswith("_past") or measure == "selection_gap"


def _proxies(found: Measured) -> Table:
    rows: list[list[Value]] = []
    before = found.repairs[NOTHING]["opportunity_gap"]
    for proxy in found.proxies[0]:
        left = found.shuffled[proxy.feature]
        row = [*mean_limits(left), *mean_limits(left - before)]
        rows.append([proxy.feature, proxy.auc, proxy.low, proxy.high, *row])
    for name, proxy in (
        ("all together", found.together),
        (f"all but {found.proxies[0][0].feature}", found.without_first),
    ):
        rows.append([name, proxy.auc, proxy.low, proxy.high, *[None] * 6])
    ends = ("", "_low", "_high")
    return Table(
        f"which features stand in for {found.units[0].attribute}: AUC on held-out rows of the "
        "first run, bootstrap 95 % limits",
        (
            "feature",
            *(f"tells_group_auc{end}" for end in ends),
            *(f"gap_if_anothers{end}" for end in ends),
            *(f"gap_change{end}" for end in ends),
        ),
        rows,
        hidden=("gap_if_anothers_low", "gap_if_anothers_high"),
        notes=(
            "gap if another's: in true positive rate, in points, once everybody has somebody "
            f"else's value; means over {found.over}, from {float(before.mean()):.4g}",
        ),
    )


def _reviews(found: Measured) -> Table:
    rows: list[list[Value]] = []
    for (how, share), each in found.reviews.items():
        numbers = [*mean_limits(each.accuracy), *mean_limits(each.opportunity_gap)]
        rows.append([how, 100 * share, *numbers, *mean_limits(each.sent)])
    ends = ("", "_low", "_high")
    columns = [
        f"{x}{end}" for x in ("accuracy_truth", "opportunity_gap", "sent_gap") for end in ends
    ]
    return Table(
        f"people decide a share of the cases: means over {found.over}, in points",
        ("who", "share_percent", *columns),
        rows,
        hidden=tuple(name for name in columns if name.endswith(("_low", "_high"))),
        notes=("sent gap: how much larger the share sent is in one group than in another",),
    )


def _impossibility(found: Measured) -> Table:
    rows: list[list[Value]] = []
    for price in PRICES:
        both = (
            np.array([100 * pairs.least(price) for pairs in each])
            for each in (found.pairs, found.shuffled_pairs)
        )
        rows.append([100 * price, *(x for values in both for x in mean_limits(values))])
    first, second = found.pairs[0].groups
    ends = ("", "_low", "_high")
    columns = [f"{name}{end}" for name in ("largest_gap", "drawn_at_random") for end in ends]
    return Table(
        "the least that the largest of the gaps in precision, false negative and false positive "
        f"rate can be, over {len(found.pairs[0].accuracy):,} pairs of thresholds for {first} and "
        f"{second}",
        ("accuracy_given_up", *columns),
        rows,
        notes=(
            f"in points; means over {found.over} with 95 % t intervals; drawn at random: groups of "
            "the same sizes without a difference",
            *_implied(found),
        ),
    )


def _implied(found: Measured) -> list[str]:
    """What the two identities leave no choice about, in the first draw."""
    unit, pair = found.units[0], found.pairs[0].groups
    whole = rates(unit.test.truth, found.decided)
    p, q = (float(unit.test.truth[unit.groups == name].mean()) for name in pair)
    precision, missed = whole["precision"].value, whole["false_negative_rate"].value
    if not 0 < precision <= 1 or not (0 < p < 1 and 0 < q < 1):
        return []
    false = [disparity.false_positive_rate_of(each, precision, missed) for each in (p, q)]
    score = 1 - missed
    apart = impossibility.unbalance((p, q), score)
    return [
        f"base rates {p:.3f} and {q:.3f}: with precision {precision:.3f} and false negative rate "
        f"{missed:.3f} in both groups, false positive rates differ by "
        f"{100 * (false[0] - false[1]):.3g} points (Chouldechova)",
        f"calibrated scores that average {score:.3f} over label 1 in both groups differ by "
        f"{100 * apart:.3g} points over label 0 (Kleinberg)",
    ]


def _compas(tables: Mapping[str, Sequence[Group]]) -> Table:
    errors = ("false_positive_rate", "false_negative_rate")
    rates = ("base_rate", *errors, "precision", "accuracy", "auc")
    rows: list[list[Value]] = []
    for name, groups in tables.items():
        for group in groups:
            row: list[Value] = [name, group.name, group.n]
            for rate in rates:
                mine = group.rates[rate]
                row += [round(mine.value, 4), mine.low, mine.high]
            rows.append(row)
    columns = [f"{rate}{end}" for rate in rates for end in ("", "_low", "_high")]
    return Table(
        "COMPAS as ProPublica has it: decided 1 are scored Medium or High; AUC of the decile "
        "score; 95 % limits in compas.csv, exact, of the AUC DeLong's",
        ("rows", "group", "people", *columns),
        rows,
        hidden=tuple(name for name in columns if name.endswith(("_low", "_high"))),
    )
