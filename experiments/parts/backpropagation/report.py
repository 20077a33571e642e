"""The tables of backpropagation's price, correctness and reach, and everything presented."""

from collections.abc import Sequence

import numpy as np

from judged import Judged
from lesson import Findings
from minima.claims.intervals import t_interval
from minima.claims.power_law import power_law
from minima.record.tables import Table
from parts.backpropagation.checks import Check
from parts.backpropagation.figures import pictures
from parts.backpropagation.price import Differences, Price
from parts.backpropagation.signal import Signal


def findings(
    prices: Sequence[Price],
    checks: Sequence[Check],
    differences: Sequence[Differences],
    signals: Sequence[Signal],
    judged: Sequence[Judged],
    run: str,
) -> Findings:
    """Tables, verdicts and figures."""
    return Findings(
        tables={
            "prices": prices_table(prices),
            "differences": differences_table(differences),
            "checks": checks_table(checks),
            "signal": signal_table(signals),
        },
        judged=judged,
        figures=pictures(prices, checks, differences, signals, judged, run),
    )


def prices_table(prices: Sequence[Price]) -> Table:
    """A row for each family."""
    rows = [
        (
            p.family,
            p.weights,
            p.forward,
            p.both,
            p.ratio,
            p.forward_chain,
            p.both_chain,
            1e3 * p.forward_seconds,
            1e3 * p.both_seconds,
            p.both_seconds / p.forward_seconds,
        )
        for p in prices
    ]
    median = np.median([p.ratio for p in prices])
    return Table(
        "loss and all gradients against the loss alone, one batch: operations counted, times of "
        "this machine when they were first measured (the fastest of 7)",
        (
            "family",
            "weights",
            "loss_operations",
            "both_operations",
            "ratio",
            "loss_chain",
            "both_chain",
            "loss_milliseconds",
            "both_milliseconds",
            "time_ratio",
        ),
        rows,
        notes=(
            f"median ratio {median:.2f}; chain: matrix products that must follow one another; "
            "times are not judged",
        ),
    )


def differences_table(differences: Sequence[Differences]) -> Table:
    """Two ways to all gradients of an MLP, in forward passes."""
    weights = [d.weights for d in differences]
    slow = power_law(weights, [d.differences_seconds / d.forward_seconds for d in differences])
    fast = power_law(weights, [d.both_seconds / d.forward_seconds for d in differences])
    return Table(
        "all gradients of an MLP in float64, by backpropagation and by central differences",
        (
            "weights",
            "backpropagation_passes",
            "differences_passes",
            "backpropagation_milliseconds",
            "differences_milliseconds",
            "relative_distance",
        ),
        [
            (
                d.weights,
                d.both / d.forward,
                d.differences / d.forward,
                1e3 * d.both_seconds,
                1e3 * d.differences_seconds,
                d.error,
            )
            for d in differences
        ],
        notes=(
            f"time in forward passes, exponent of weights: {fast.exponent:.2f} by backpropagation, "
            f"{slow.exponent:.2f} by differences; not judged",
        ),
    )


def checks_table(checks: Sequence[Check]) -> Table:
    """How right each family's gradients are."""
    return Table(
        "gradients against extrapolated central differences, float64: worst tensor of each family",
        ("family", "relative_error", "tensors", "weights", "left_out_at_kinks", "silent_tensors"),
        [(c.family, c.error, c.tensors, c.weights, c.kinks, c.silent) for c in checks],
    )


def signal_table(signals: Sequence[Signal]) -> Table:
    """Halvings of the error signal from the last hidden layer to the first."""
    rows: list[tuple[str | int | float | None, ...]] = []
    for signal in signals:
        limits: tuple[float | None, ...] = (None, None)
        if len(signal.lost) > 1 and np.isfinite(signal.lost).all():
            interval = t_interval(signal.lost)
            limits = (interval.low, interval.high)
        share = float(np.mean(signal.norms[:, 0] / signal.norms[:, -1]))
        rows.append((signal.kind, signal.depth, share, float(signal.lost.mean()), *limits))
    seeds = len(signals[0].lost)
    return Table(
        f"what reaches the first hidden layer of the last one's error signal, before training (n = "
        f"{seeds} seeds, 95 % intervals)",
        ("network", "hidden_layers", "share", "halvings", "low", "high"),
        rows,
        notes=("below 0 halvings the signal grows on its way back",),
    )
