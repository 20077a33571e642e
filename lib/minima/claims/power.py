"""How much a design can see: effects, seeds and test examples, before anything is trained."""

import math

import numpy as np
from scipy import optimize, stats

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
_TAIL = 1e-14  # of chi, left out of the integral at both ends
_MOST_SEEDS = 1_000_000


def power_of_paired_t(effect: float, sd: float, n: int, alpha: float = 0.05) -> float:
    """Chance that a two-sided paired t test of n seeds rejects, exact for normal differences.

    The statistic is noncentral t with n - 1 degrees of freedom and noncentrality
    sqrt(n) effect / sd; rejections on the wrong side count too, as alpha's definition has it.

    Args:
      effect: true mean difference, in the unit of `sd`.
      sd: standard deviation of the differences by seed, > 0.
      n: number of seeds, >= 2.
      alpha: two-sided level.

    Raises:
      ValueError: n < 2, sd not positive, or alpha outside (0, 1).
    """
    _check(sd, n, alpha)
    df, shift = n - 1, math.sqrt(n) * abs(effect) / sd
    # Given the sample's standard deviation, sd chi / sqrt(df), the mean is normal; averaged over
    # chi this is the noncentral t, which scipy returns as NaN in places.
    low, high = stats.chi.ppf(_TAIL, df), stats.chi.isf(_TAIL, df)
    chi = low + (high - low) * (_NODES + 1) / 2
    edge = stats.t.isf(alpha / 2, df) * chi / math.sqrt(df)
    rejects = stats.norm.sf(edge - shift) + stats.norm.cdf(-edge - shift)
    total = (high - low) / 2 * float(_WEIGHTS @ (rejects * stats.chi.pdf(chi, df)))
    return min(total, 1.0)


def detectable_effect(n: int, sd: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest true mean difference that n seeds find with this power, in the unit of `sd`.

    Args:
      n: number of seeds, >= 2.
      sd: standard deviation of the differences by seed, > 0.
      power: alpha < power < 1.
      alpha: two-sided level.

    Raises:
      ValueError: what `power_of_paired_t` refuses, or power not between alpha and 1.
    """
    _check(sd, n, alpha)
    _check_power(power, alpha)

    def shortfall(effect: float) -> float:
        return power_of_paired_t(effect, 1.0, n, alpha) - power

    high = 1.0
    while shortfall(high) < 0:
        high *= 2
    return sd * float(optimize.brentq(shortfall, 0.0, high, xtol=1e-12))


def seeds_needed(effect: float, sd: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """The fewest seeds with which a true mean difference is found with this power.

    Args:
      effect: true mean difference, not zero.
      sd: standard deviation of the differences by seed, > 0.
      power: alpha < power < 1.
      alpha: two-sided level.

    Raises:
      ValueError: what `detectable_effect` refuses, a zero effect, or more than a million seeds.
    """
    _check(sd, 2, alpha)
    _check_power(power, alpha)
    if effect == 0:
        raise ValueError("no number of seeds finds an effect of zero")
    if power_of_paired_t(effect, sd, _MOST_SEEDS, alpha) < power:
        raise ValueError(f"an effect of {effect:g} needs more than {_MOST_SEEDS:,} seeds")
    low, high = 1, 2
    while power_of_paired_t(effect, sd, high, alpha) < power:
        low, high = high, 2 * high
    while high - low > 1:  # power grows with n
        middle = (low + high) // 2
        enough = power_of_paired_t(effect, sd, middle, alpha) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def examples_needed(
    difference: float, disagreement: float, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Test examples with which two models' difference in accuracy is found (Connor 1987).

    The normal approximation to McNemar's test (Biometrics 43, "Sample size for testing differences
    in proportions for the paired-sample design"). It holds for two fixed models; seeds come on top.

    Args:
      difference: true difference of the accuracies, not zero: 0.01 for a point.
      disagreement: share of examples which exactly one of the two gets right, at least
        |difference|; p (1 - q) + q (1 - p) if errors were independent.
      power: alpha < power < 1.
      alpha: two-sided level.

    Raises:
      ValueError: a zero difference, or a disagreement that the difference rules out.
    """
    _check(1.0, 2, alpha)
    _check_power(power, alpha)
    gap = abs(difference)
    if not 0 < gap <= disagreement <= 1:
        raise ValueError(
            f"a difference of {difference:g} needs a disagreement of {gap:g} to 1, "
            f"not {disagreement:g}"
        )
    z_alpha, z_power = float(stats.norm.isf(alpha / 2)), float(stats.norm.ppf(power))
    reach = z_alpha * math.sqrt(disagreement) + z_power * math.sqrt(disagreement - gap**2)
    return math.ceil((reach / gap) ** 2 - 1e-9)  # a rounding is not worth an example


def _check(sd: float, n: int, alpha: float) -> None:
    if n < 2:
        raise ValueError(f"a paired test needs at least 2 seeds, not {n}")
    if not (sd > 0 and math.isfinite(sd)):
        raise ValueError(f"the standard deviation is positive, not {sd:g}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha lies between 0 and 1, not at {alpha:g}")


def _check_power(power: float, alpha: float) -> None:
    if not alpha < power < 1:
        raise ValueError(f"power lies between alpha = {alpha:g} and 1, not at {power:g}")
