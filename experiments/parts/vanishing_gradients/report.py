"""What is printed and written of memory and gradients."""

from collections.abc import Mapping, Sequence

import numpy as np

from judged import failures_first
from lesson import Findings
from minima.claims.evidence import Floats
from minima.claims.seeded import Judged
from minima.record.tables import Table, Value
from minima.statistics.intervals import t_interval
from minima.sweep.run import Prepared
from parts.vanishing_gradients.carrying import Reach
from parts.vanishing_gradients.claims import NAMES, SOLVED
from parts.vanishing_gradients.config import ADDING
from parts.vanishing_gradients.figures import pictures
from parts.vanishing_gradients.memories import FLOOR, Explosion, Memory


def findings(
    prepared: Mapping[str, Prepared],
    found: Sequence[Memory],
    reached: Sequence[Reach],
    exploded: Explosion,
    judged: Sequence[Judged],
) -> Findings:
    """Tables, verdicts and figures."""
    run = next(iter(prepared.values())).run_id
    tables = {
        "memory": memory_table(found),
        "gradients": gradient_table(reached),
        "clipping": clipping_table(exploded),
    }
    drawn = pictures(found, reached, exploded, failures_first(judged), run)
    return Findings(tables, judged, drawn)


def memory_table(found: Sequence[Memory]) -> Table:
    """Who learns which task at which length."""
    rows: list[list[Value]] = []
    for each in found:
        solved = np.sum(each.losses < (SOLVED if each.task == ADDING else 0.1 * FLOOR[each.task]))
        rows.append(
            [
                each.task,
                NAMES[each.model],
                each.length,
                each.rate,
                *_limits(each.losses),
                100 * float(np.mean(each.share)),
                float(np.mean(each.accuracy)),
                f"{solved}/{len(each.losses)}",
            ]
        )
    return Table(
        f"test losses at each network's chosen rate ({len(found[0].losses)} reporting seeds, 95 % "
        "intervals)",
        (
            "task",
            "network",
            "length",
            "rate",
            "loss",
            "low",
            "high",
            "percent_of_no_memory",
            "right_percent",
            "solved",
        ),
        rows,
        notes=(
            f"adding: squared error, 1/6 = {FLOOR['adding']:.4f} without memory, solved below "
            f"{SOLVED}; copying: nats a symbol, log 8 = {FLOOR['copying']:.4f} without memory, "
            "solved below a tenth of that",
        ),
    )


def gradient_table(reached: Sequence[Reach]) -> Table:
    """How gradients fall with the lag, and what the Jacobians say."""
    rows = [
        [
            NAMES[reach.model],
            "trained" if reach.trained else "fresh",
            len(reach.slopes),
            *_limits(reach.slopes),
            *_limits(reach.gains),
            float(np.mean(reach.off)),
            float(np.mean(reach.factor_off)),
        ]
        for reach in reached
    ]
    return Table(
        "gradient of the loss by what the network holds, against the time lag: slope of the log "
        "norm, and mean log gain of the steps' Jacobians, nats a step (95 % over networks)",
        (
            "network",
            "state",
            "networks",
            "slope",
            "slope_low",
            "slope_high",
            "gain",
            "gain_low",
            "gain_high",
            "off_percent",
            "factor_off_percent",
        ),
        rows,
        hidden=("slope_low", "slope_high", "gain_low", "gain_high"),
        notes=("of a transformer: the gradient by the vector that it reads; it has no state",),
    )


def clipping_table(exploded: Explosion) -> Table:
    """Gradient descent with and without clipping."""
    rows: list[list[Value]] = [
        [
            rate,
            f"{np.isnan(clipped).sum()}/{len(clipped)}",
            _mean(clipped),
            f"{np.isnan(free).sum()}/{len(free)}",
            _mean(free),
        ]
        for rate, clipped, free in zip(exploded.rates, exploded.clipped, exploded.free, strict=True)
    ]
    return Table(
        "gradient descent where gradients explode: runs that diverged, and the test loss of others",
        ("rate", "clipped_diverged", "clipped_loss", "free_diverged", "free_loss"),
        rows,
    )


def _limits(values: Floats) -> tuple[float, float, float]:
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return _mean(values), np.nan, np.nan
    found = t_interval(finite)
    return found.estimate, found.low, found.high


def _mean(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else np.nan
