"""The findings about shortcuts: tables, verdicts and pictures."""

from collections.abc import Iterator, Sequence

from judged import Judged, failures_first
from lesson import Findings
from minima.claims.claims_figure import claims_figure
from minima.evaluation.rates import Rate
from minima.record.tables import Table, Value
from minima.statistics.intervals import t_interval
from parts.spurious_correlation import figures
from parts.spurious_correlation.config import ERM, IRM, REWEIGHTED, VREX
from parts.spurious_correlation.measured import Measured, Outcome

_TESTS = {"shared": "shared", "reversed": "reversed", "without_cue": "without"}


def findings(found: Measured, judged: Sequence[Judged], run: str) -> Findings:
    """All there is to say."""
    claims, verdicts = zip(*failures_first(judged), strict=True)
    pictures = {"colours": figures.colours(found, run)}
    if len(found.cues) > 1:
        pictures["shared"] = figures.shared(found, run)
    if (forest := claims_figure(verdicts, run, claims)) is not None:
        pictures["claims"] = forest
    tables = {
        "methods": _methods(found),
        "strengths": _strengths(found),
        "groups": _groups(found),
        "cues": _cues(found),
    }
    return Findings(tables, judged, pictures)


def named(found: Measured) -> Iterator[tuple[Outcome, str]]:
    """What is compared: penalties at the strengths that were chosen, and how; all others."""
    hows = dict.fromkeys(how for _, how in found.chosen)
    for index, each in enumerate(found.outcomes):
        if each.method not in (IRM, VREX):
            yield each, ""
        for how in hows:
            if found.chosen.get((each.method, how)) == index:
                yield each, how


def _methods(found: Measured) -> Table:
    columns = ["cue", "method", "setting", "chosen"]
    for name in (*_TESTS, "worst_group"):
        columns += [f"{name}_percent", f"{name}_low", f"{name}_high"]
    rows: list[list[Value]] = []
    for each, how in named(found):
        row: list[Value] = [each.stage.cue, each.method, each.setting, how]
        for values in (*(getattr(each, name) for name in _TESTS.values()), each.worst):
            row += t_interval(values).limits().values()
        rows.append(row)
    return Table(
        f"Accuracy on four test sets: means and 95 % t intervals over {len(found.seeds)} seeds",
        tuple(columns),
        rows,
        hidden=tuple(c for c in columns if c.endswith(("low", "high")) and "reversed" not in c),
        notes=(
            "shared: the cue as in training; reversed: with the other label; of colours in "
            "expectation over the draws of labels and colours",
            "worst group: of four (half of the classes, cue), the cue put on every image of a half",
        ),
    )


def _strengths(found: Measured) -> Table:
    rows: list[list[Value]] = []
    for index, each in enumerate(found.outcomes):
        if each.method in (IRM, VREX):
            hows = [how for key, how in found.chosen if found.chosen[key, how] == index]
            limits = [t_interval(v).limits().values() for v in (each.shared, each.reversed)]
            rows.append([each.method, each.strength, *limits[0], *limits[1], "; ".join(hows)])
    spread = [
        f"{name}_{limit}" for name in ("shared", "reversed") for limit in ("percent", "low", "high")
    ]
    return Table(
        f"Penalties: means and 95 % t intervals over {len(found.seeds)} seeds",
        ("method", "strength", *spread, "chosen"),
        rows,
    )


def _groups(found: Measured) -> Table:
    rows: list[list[Value]] = []
    for each, how in named(found):
        name, rate = _worst(each)
        limits = [100 * rate.value, 100 * rate.low, 100 * rate.high]
        rows.append([each.stage.cue, each.method, each.setting, how, name, rate.n, *limits])
    return Table(
        f"The worst group of one drawn test set that shares the cue: seed {found.seeds[0]}, exact "
        "95 % limits (Clopper-Pearson)",
        ("cue", "method", "setting", "chosen", "group", "n", "accuracy_percent", "low", "high"),
        rows,
    )


def _worst(each: Outcome) -> tuple[str, Rate]:
    """Of the planted cue's groups, whatever else is found."""
    planted = each.stage.cue.removesuffix("s")
    return next(cue.worst for cue in each.found(0) if cue.name == planted)


def _cues(found: Measured) -> Table:
    rows: list[list[Value]] = []
    for cue in found.cues:
        for method in (ERM, REWEIGHTED):
            each = found.of(cue, method)
            for one in each.found(0):
                numbers = (one.association, one.dependence, one.low, one.high)
                percent = [100 * number for number in numbers]
                rows.append([cue, method, each.setting, one.name, *percent, one.p])
    columns = ("cue", "method", "setting", "candidate", "association_points")
    spread = ("dependence_points", "dependence_low", "dependence_high", "p")
    return Table(
        f"The finder on the same test set: seed {found.seeds[0]}, 95 % bootstrap limits",
        (*columns, *spread),
        rows,
        notes=("dependence: accuracy where the cue goes with the label less where it does not",),
    )
