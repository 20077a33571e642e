"""The tables of the three loops, and everything that is presented."""

from collections.abc import Sequence

import numpy as np

from judged import Judged
from lesson import Findings
from minima.evaluation.patrols import limit
from minima.record.tables import Table, Value
from minima.statistics.intervals import t_interval
from parts.feedback_loops.claims import distance_to_uniform, errors_off
from parts.feedback_loops.figures import pictures
from parts.feedback_loops.worlds import GREEDY, RATES, Floats, Worlds


def findings(found: Worlds, judged: Sequence[Judged], run: str) -> Findings:
    """Tables, verdicts and figures."""
    return Findings(
        tables={
            "patrols": _patrols(found),
            "recommender": _recommender(found),
            "hiring": _hiring(found),
        },
        judged=judged,
        figures=pictures(found, judged, run),
        facts={
            "worlds": {
                "urns": sum(len(numbers["last"]) for numbers in found.patrols.values()),
                "markets": sum(len(numbers["best"]) for numbers in found.shops.values()),
                "firms": sum(len(numbers["base"]) for numbers in found.firms.values()),
            }
        },
    )


def _patrols(found: Worlds) -> Table:
    rows: list[list[Value]] = []
    for (name, correction), numbers in found.patrols.items():
        rates, last = RATES[name], numbers["last"]
        expected = float(limit(rates, correction)[0])
        rows.append(
            [
                f"{rates[0]:g}, {rates[1]:g}",
                correction,
                len(last),
                float(last.mean()),
                float(last.std(ddof=1)),
                expected,
                errors_off(last, rates[0] / sum(rates)),
                distance_to_uniform(last) if (name, correction) == ("equal", 0.0) else None,
            ]
        )
    return Table(
        "share of patrols in the first of two areas after the last day, over urns",
        (
            *("rates", "correction", "urns", "mean_share", "sd"),
            *("limit", "standard_errors_off_the_rates", "distance_to_uniform"),
        ),
        rows,
        notes=(
            "limit: rates to the power of 1 / correction, shared out; of mean shares with equal "
            "rates and no correction, whose limit is the uniform law itself",
        ),
    )


def _recommender(found: Worlds) -> Table:
    columns = {
        "log_accuracy_launch": lambda n: 100 * n["logged"][:, 0],
        "true_launch": lambda n: 100 * n["true"][:, 0],
        "log_accuracy_last": lambda n: 100 * n["logged"][:, -1],
        "true_last": lambda n: 100 * n["true"][:, -1],
        "plain_estimate": lambda n: 100 * n["plain"],
        "weighted_estimate": lambda n: 100 * n.get("weighted", np.full(len(n["plain"]), np.nan)),
        "repeated_week_3": lambda n: 100 * n["repeated"][:, 3],
        "new_last": lambda n: n["new"][:, -1],
        "gini_last": lambda n: n["gini"][:, -1],
        "coverage_last": lambda n: 100 * n["coverage"],
        "alike_last": lambda n: n["alike"],
        "orders_per_shown": lambda n: 100 * n["orders"].mean(axis=1),
    }
    rows: list[list[Value]] = [
        [name, *(float(np.mean(column(numbers))) for column in columns.values())]
        for name, numbers in found.shops.items()
    ]
    ideal = found.shops[GREEDY]
    known = {
        "new_last": ideal["ideal_new"],
        "gini_last": ideal["ideal_gini"],
        "coverage_last": 100 * ideal["ideal_coverage"],
        "alike_last": ideal["ideal_alike"],
        "orders_per_shown": 100 * ideal["best"],
    }
    rows.append(
        ["lists from the truth"]
        + [float(known[name].mean()) if name in known else None for name in columns]
    )
    return Table(
        f"the recommender, means over {len(ideal['best'])} worlds a policy; accuracies, shares and "
        "coverage in %",
        ("policy", *columns),
        rows,
        notes=(
            "new: exposure of new restaurants over their part of the catalogue; plain and "
            "weighted: accuracy for all pairs as the last log tells it",
        ),
    )


def _hiring(found: Worlds) -> Table:
    rows: list[list[Value]] = []
    for name, numbers in found.firms.items():
        minority, able = numbers["base"].T
        rows.append(
            [
                name,
                *_limits(100 * (numbers["share"][:, -1] - minority)),
                float(numbers["slope"][:, 1].mean()),
                float(numbers["slope"][:, -1].mean()),
                float(100 * numbers["logged"][:, -1].mean()),
                float(100 * numbers["true"][:, -1].mean()),
                float(100 * numbers["able"][:, -1].mean()),
                float(100 * (numbers["estimate"][:, 1:].mean(axis=1) - able).mean()),
            ]
        )
    n = len(next(iter(found.firms.values()))["base"])
    return Table(
        f"hiring in the last year, means over {n} firms a row (95 % t intervals), in % and points",
        (
            *("learns_from", "second_group_less_applicants", "low", "high"),
            *("slope_first", "slope_last", "record_accuracy", "true_accuracy"),
            *("hired_who_succeed", "estimate_less_truth"),
        ),
        rows,
        notes=("slope: of the second group's stand-in, in logits; both groups are equally able",),
    )


def _limits(values: Floats) -> list[float]:
    interval = t_interval(values)
    return [interval.estimate, interval.low, interval.high]
