"""The findings of distribution_shift: tables, pictures, and what is printed beside them."""

from collections.abc import Sequence

import numpy as np

from lesson import Findings
from minima.claims.claims_figure import claims_figure
from minima.claims.seeded import Judged
from minima.record.tables import Table, Value
from minima.statistics.intervals import binomial_interval, t_interval
from minima.tasks.datasets.corruptions import SEVERITIES
from parts.distribution_shift import figures
from parts.distribution_shift.config import DistributionShiftConfig
from parts.distribution_shift.measured import Measured
from parts.distribution_shift.networks import PERCENT, Said
from parts.distribution_shift.streams import Alarms

_LIMITS = ("low", "high")


def findings(
    found: Measured,
    judged: Sequence[Judged],
    ordered: Sequence[Judged],
    config: DistributionShiftConfig,
    run: str,
) -> Findings:
    """All there is to say; `ordered` has failures first."""
    claims, verdicts = zip(*ordered, strict=True)
    pictures = {
        "corruptions": figures.corruptions(found, config),
        "line": figures.on_the_line(found, config),
        "detectors": figures.detectors(found),
        "months": figures.over_months(found),
    }
    if (forest := claims_figure(verdicts, run, claims)) is not None:
        pictures["claims"] = forest
    tables = {
        "corruptions": _corruptions(found),
        "severities": _severities(found),
        "strangers": _strangers(found),
        "priors": _priors(found),
        "alarms": _alarms(found),
        "months": _months(found),
        "line": _line(found),
    }
    return Findings(tables, judged, pictures)


def _corruptions(found: Measured) -> Table:
    rows: list[list[Value]] = []
    for kind, each in found.robustness.items():
        for i, name in enumerate(each.names):
            row: list[Value] = [kind, name]
            for clean, corrupted in zip(each.clean, each.corrupted, strict=True):
                row += [float(clean.mean()), *corrupted[i].mean(axis=-1).tolist()]
            rows.append(row)
    measured = ("accuracy", "confidence", "ece")
    columns = [f"{name}_{severity}" for name in measured for severity in (0, *SEVERITIES)]
    shown = {"accuracy_0", "accuracy_1", "accuracy_3", "accuracy_5", "confidence_0", "confidence_5"}
    return Table(
        "Every corruption, by severity (0: clean): means over seeds, in percent",
        ("data", "corruption", *columns),
        rows,
        hidden=tuple(name for name in columns if name not in shown),
    )


def _severities(found: Measured) -> Table:
    rows: list[list[Value]] = []
    for kind, each in found.robustness.items():
        rows.append([kind, "0", *_with_limits(each.clean)])
        for j, severity in enumerate(SEVERITIES):
            said = Said(*(values[:, j].mean(axis=0) for values in each.corrupted))
            rows.append([kind, str(severity), *_with_limits(said)])
    rows.append(["real shift", "home", *_with_limits(found.home)])
    rows.append(["real shift", "abroad", *_with_limits(found.abroad)])
    limits = [f"accuracy_{limit}" for limit in _LIMITS]
    over_limits = [f"overconfidence_{limit}" for limit in _LIMITS]
    columns = ("data", "severity", "accuracy_percent", *limits, "confidence_percent")
    return Table(
        "Accuracy and confidence by severity: means over corruptions, 95 % t intervals over seeds",
        (*columns, "overconfidence_points", *over_limits, "ece_percent"),
        rows,
    )


def _strangers(found: Measured) -> Table:
    rows: list[list[Value]] = []
    for kind, each in found.strangers.items():
        for one in each:
            sure = t_interval(one.sure).limits().values()
            rows.append(
                [kind, one.name, float(one.confidence.mean()), *sure, float(one.separated.mean())]
            )
    limits = [f"sure_{limit}" for limit in _LIMITS]
    return Table(
        "Inputs that are none of the classes: how sure networks are; 95 % t intervals over seeds",
        ("data", "inputs", "confidence_percent", "sure_percent", *limits, "auroc_percent"),
        rows,
        notes=(
            "sure: confidence above 90 %; AUROC: how often one is less sure than a test example",
        ),
    )


def _priors(found: Measured) -> Table:
    rows: list[list[Value]] = []
    for kind, each in found.priors.items():
        rows.append([kind, *(float(values.mean()) for values in vars(each).values())])
    columns = ("data", "counted_points", "estimated_points", "accuracy_percent")
    return Table(
        "One class becomes half of all: how far class frequencies are off, and what reweighting "
        "gives; means over classes and seeds",
        (*columns, "corrected_percent", "known_percent"),
        rows,
    )


def _alarms(found: Measured) -> Table:
    rows: list[list[Value]] = []
    rows += [["alone, noise", name, 0, *_rate(each)] for name, each in found.null.items()]
    rows += [["monitor, outputs", name, 0, *_rate(e)] for name, e in found.null_monitor.items()]
    rows += [
        ["monitor, corrupted", name, severity, *_rate(each)]
        for name, several in found.power.items()
        for severity, each in enumerate(several)
    ]
    return Table(
        "Streams with an alarm: exact 95 % limits",
        ("streams", "detector", "severity", "count", "alarms_percent", *_LIMITS),
        rows,
    )


def _months(found: Measured) -> Table:
    rows: list[list[Value]] = []
    for policy, each in found.courses.items():
        mean = t_interval(each.accuracy.mean(axis=1)).limits().values()
        retrained = float(np.mean([len(months) for months in each.retrainings]))
        first = [month for month in each.first_alerts if month and policy == "on an alert"]
        alerted = float(np.mean(first)) if first else None
        worst = float(each.accuracy.mean(axis=0).min())
        captured = float(np.mean(each.captured))
        rows.append([policy, *mean, worst, retrained, alerted, captured])
    columns = ("retrained", "accuracy_percent", *_LIMITS, "worst_month_percent", "retrainings")
    return Table(
        "A slow drift, months 7 to 12: means and 95 % t intervals over seeds",
        (*columns, "first_alert_month", "captured_errors"),
        rows,
    )


def _line(found: Measured) -> Table:
    line = found.line
    rows: list[list[Value]] = [
        [name, each.estimate, each.low, each.high, len(line.home), line.left_out]
        for name, each in (("unexplained_share", line.unexplained), ("slope", line.slope))
    ]
    return Table(
        "Accuracy on the line: bootstrap limits over settings",
        ("statistic", "estimate", *_LIMITS, "models", "left_out"),
        rows,
    )


def _with_limits(said: Said) -> list[Value]:
    accuracy, over = (t_interval(each).limits() for each in (said.accuracy, said.overconfidence))
    confidence, ece = float(said.confidence.mean()), float(said.ece.mean())
    return [*accuracy.values(), confidence, *over.values(), ece]


def _rate(alarms: Alarms) -> list[Value]:
    rate = binomial_interval(alarms.hits, alarms.trials)
    return [alarms.trials, *(PERCENT * value for value in rate.limits().values())]
