"""The tables of attention's cost and reach, and everything that is presented."""

from collections.abc import Sequence

from judged import Judged
from lesson import Findings
from minima.claims.intervals import t_interval
from minima.claims.power_law import power_law
from minima.record.tables import Table
from parts.attention_cost.claims import CHANCE, Accuracies, fitted
from parts.attention_cost.figures import pictures
from parts.attention_cost.measured import (
    ATTENTION,
    CHUNKED,
    RECURRENT,
    Crossover,
    Step,
    Timed,
    layer_flops,
)

_QUANTITIES = ("flops", "bytes", "chain", "temporary")


def findings(
    steps: Sequence[Step],
    crossings: Sequence[Crossover],
    times: Sequence[Timed],
    accuracies: Accuracies,
    judged: Sequence[Judged],
    run: str,
) -> Findings:
    """Tables, verdicts and figures."""
    return Findings(
        tables={
            "costs": costs_table(steps),
            "times": times_table(times),
            "crossovers": crossovers_table(crossings),
            "needles": needles_table(accuracies),
        },
        judged=judged,
        figures=pictures(steps, crossings, times, accuracies, judged, run),
        facts={
            "exponents": {
                kind: {name: fitted(steps, kind, name).exponent for name in _QUANTITIES}
                for kind in (ATTENTION, CHUNKED, RECURRENT)
            }
        },
    )


def costs_table(steps: Sequence[Step]) -> Table:
    """A row for each kind and length, and the fitted exponents."""
    rows: list[tuple[str | int | float, ...]] = [
        (step.kind, step.length, *(getattr(step, name) for name in _QUANTITIES)) for step in steps
    ]
    fits = [
        f"{kind}: exponents of length {_spelled(steps, kind)}"
        for kind in (ATTENTION, CHUNKED, RECURRENT)
    ]
    return Table(
        "a training step, loss and gradient of one sequence: operations and bytes counted, "
        "temporary memory as the compiler plans it",
        (
            "network",
            "length",
            "operations",
            "bytes_without_fusion",
            "dependent_products",
            "temporary_bytes",
        ),
        rows,
        notes=tuple(fits),
    )


def times_table(times: Sequence[Timed]) -> Table:
    """Time for each position: flat where a network is linear."""
    fits = []
    for kind in (ATTENTION, CHUNKED, RECURRENT):
        mine = [each for each in times if each.kind == kind]
        law = power_law([each.length for each in mine], [each.seconds for each in mine])
        fits.append(f"{kind}: exponent of length {law.exponent:.2f}")
    return Table(
        "time of the same on this machine when first measured (the fastest of 7); not judged",
        ("network", "length", "milliseconds", "microseconds_per_position"),
        [(t.kind, t.length, 1e3 * t.seconds, 1e6 * t.seconds / t.length) for t in times],
        notes=tuple(fits),
    )


def crossovers_table(crossings: Sequence[Crossover]) -> Table:
    """Where attention overtakes the LSTM."""
    return Table(
        "the length from which a layer of attention takes more operations than one of an LSTM",
        ("width", "length", "widths", "operations"),
        [
            (c.width, c.length, c.length / c.width, layer_flops(ATTENTION, c.length, c.width))
            for c in crossings
        ],
    )


def needles_table(accuracies: Accuracies) -> Table:
    """Mean and limits over seeds."""
    rows: list[tuple[str | int | float | None, ...]] = []
    for (name, distance), values in accuracies.items():
        limits: tuple[float | None, ...] = (None, None)
        if len(values) > 1 and not any(values != values):
            interval = t_interval(values)
            limits = (interval.low, interval.high)
        rows.append((name, distance, float(values.mean()), *limits, len(values)))
    return Table(
        f"needles found, in % of the test set (95 % intervals over seeds; chance {CHANCE:g} %)",
        ("network", "distance", "accuracy_percent", "low", "high", "seeds"),
        rows,
    )


def _spelled(steps: Sequence[Step], kind: str) -> str:
    names = ("operations", "bytes", "dependent products", "temporary memory")
    pairs = zip(names, _QUANTITIES, strict=True)
    return ", ".join(f"{name} {fitted(steps, kind, key).exponent:.3f}" for name, key in pairs)
