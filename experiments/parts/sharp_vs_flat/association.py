"""How sharpness goes with the generalisation gap, over the batch sizes and rates of one seed.

Seeds are the units: each has its own rank correlation over the plane, and intervals are over seeds.
"""

from dataclasses import dataclass

import numpy as np

from minima.claims.association import granulated_psi, kendall_tau, partial_correlation, sign_errors
from minima.claims.choosing import UndecidedError
from minima.claims.evidence import Floats
from minima.statistics.intervals import Interval, t_interval
from parts.sharp_vs_flat.arms import Minima

_LEAST = 8  # points of the plane


@dataclass(frozen=True)
class Association:
    """Of one measure with the gap.

    Attributes:
      tau: Kendall's, over all points of the plane; +1 where the sharper has the larger gap.
      psi: granulated (Jiang et al. 2020): among runs that differ in batch size, or rate, alone.
      worst: the largest sign error in an environment (Dziugaite et al. 2020); 0.5 is guessing,
        NaN where no pair of gaps can be told apart.
      partial: rank correlation once log batch size, log rate and training loss are taken out, over
        the seeds where they leave something; None where that is not the half of them.
    """

    tau: Interval
    psi: Interval
    worst: float
    partial: Interval | None


def gaps(minima: Minima) -> Floats:
    """Training less test accuracy of each seed, (S,) in points."""
    trained, tested = (minima.arm.final(f"{name}_accuracy") for name in ("train", "test"))
    return np.asarray(100 * (trained - tested), np.float64)


def taus(runs: tuple[Minima, ...], name: str) -> Floats:
    """Kendall's τ of a measure with the gap over the plane, (S,) by seed.

    Raises:
      UndecidedError: too few points of the plane, or a measure that is missing at one.
    """
    x, y = _tables(runs, name)
    return np.array([kendall_tau(*pair) for pair in zip(x.T, y.T, strict=True)])


def associate(runs: tuple[Minima, ...], name: str) -> Association:
    """All statistics of one measure.

    Raises:
      UndecidedError: as `taus`.
    """
    x, y = _tables(runs, name)
    settings = np.array([minima.arm.place for minima in runs], np.float64)
    psis = [granulated_psi(a, b, settings)[0] for a, b in zip(x.T, y.T, strict=True)]
    return Association(
        t_interval(taus(runs, name)),
        t_interval(np.array(psis)),
        _worst(runs, x, y, settings),
        _partial(runs, x, y, settings),
    )


def _worst(runs: tuple[Minima, ...], x: Floats, y: Floats, settings: Floats) -> float:
    pairs, tests = np.repeat(settings, x.shape[1], axis=0), runs[0].hits.shape[1]
    try:
        return float(sign_errors(x.ravel(), y.ravel() / 100, pairs, n_test=tests).max())
    except ValueError:  # no environment with pairs that can be told apart
        return float("nan")


def _partial(runs: tuple[Minima, ...], x: Floats, y: Floats, settings: Floats) -> Interval | None:
    loss = np.stack([minima.values["loss"] for minima in runs])
    found = []
    for seed in range(x.shape[1]):
        covariates = np.column_stack([np.log(settings), np.log(loss[:, seed])])
        try:
            part = partial_correlation(x[:, seed], y[:, seed], covariates, ranks=True)
        except ValueError:  # the covariates determine one of them, as the loss may do the gap
            continue
        found.append(part.interval.estimate)
    return t_interval(np.array(found)) if len(found) > x.shape[1] / 2 else None


def _tables(runs: tuple[Minima, ...], name: str) -> tuple[Floats, Floats]:
    """Measure and gap, (points, seeds)."""
    if len(runs) < _LEAST:
        raise UndecidedError(f"{_LEAST} points of the plane at which no seed fails")
    x = np.stack([minima.values[name] for minima in runs])
    if not np.isfinite(x).all() or x.shape[1] < 2:
        raise UndecidedError(f"{name} at all points of the plane, for two seeds or more")
    return x, np.stack([gaps(minima) for minima in runs])
