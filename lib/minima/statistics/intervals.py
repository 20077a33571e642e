"""Confidence intervals from few seeds.

Coverage of nominal 95 % intervals for a mean of n = 10 values, in %, from 10,000 simulations with
9,999 resamples (chance moves these by 0.4 to 0.7); `tests/claims/test_coverage.py` holds them:

    values                       t       BCa     expanded percentile
    normal                       94.9    89.9    94.7
    t with 3 degrees             96.3    86.7    94.6
    gamma, shape 2               92.4    89.0    92.6
    lognormal                    84.3    83.0    85.9
    lognormal less lognormal     97.1    83.4    93.9

So at ten seeds BCa is too short for every distribution, and t is the default. No interval here
holds for a mean of strongly skewed values; paired differences are far less skewed than the values
(last row).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Interval:
    """An estimate between two limits, in the unit of what was estimated.

    Attributes:
      estimate: the point estimate.
      low: the lower limit; equal to `high` where the data show no spread at all.
      high: the upper limit.
      confidence: nominal, in (0, 1).
      n: how many independent values (seeds, clusters, trials) it rests on.
      method: how the limits were found, in words.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    n: int
    method: str

    def contains(self, value: float) -> bool:
        """Whether `value` lies between the limits or on one."""
        return self.low <= value <= self.high

    def excludes(self, value: float) -> bool:
        """Whether the data speak against `value` at this confidence."""
        return not self.contains(value)

    def limits(self) -> dict[str, float]:
        """Estimate and limits by name, for a file."""
        return {"estimate": self.estimate, "low": self.low, "high": self.high}

    def map(self, function: Callable[[float], float]) -> "Interval":
        """The interval of an increasing function of the estimate, such as `math.exp`."""
        estimate, low, high = map(function, (self.estimate, self.low, self.high))
        return Interval(estimate, low, high, self.confidence, self.n, self.method)


def t_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Student's interval for the mean of independent values.

    Exact for normal values; too short for skewed ones (see above), a little too long for heavy
    tails. Constant values give an interval of no width.

    Args:
      values: (n,), n >= 2, finite: count failed runs, don't pass them.
      confidence: nominal, in (0, 1).

    Raises:
      ValueError: fewer than two values, or one that is not finite.
    """
    sample = checked(values)
    n, mean = len(sample), float(sample.mean())
    # Of equal values the computed mean can be off by a rounding, which would pass for spread.
    sd = 0.0 if np.ptp(sample) == 0 else float(sample.std(ddof=1))
    half = t_quantile(confidence, n - 1) * sd / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, confidence, n, "t")


def paired_interval(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Interval:
    """Student's interval for the mean of a - b, where a[s] and b[s] share seed s.

    It speaks of the test examples at hand: another test set may say otherwise. `two_level` counts
    that too.

    Args:
      a: (n,), n >= 2.
      b: (n,), in the same order of seeds.
      confidence: nominal, in (0, 1).

    Raises:
      ValueError: a and b differ in length, or what `t_interval` refuses.
    """
    first, second = checked_pair(a, b)
    return t_interval(first - second, confidence)


def bca_interval(
    values: ArrayLike,
    statistic: Callable[..., Any] = np.mean,
    resamples: int = 9999,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Bias-corrected accelerated bootstrap (Efron 1987, JASA 82), computed by scipy.

    Where all values are equal the interval has no width. Where ties leave the correction undefined
    (a jackknife without spread, such as a median's among ties) the percentile interval stands in,
    and `method` says so.

    Args:
      values: (n,), n >= 2, finite.
      statistic: of a sample; if it takes `axis`, it is called on many resamples at once.
      resamples: number of bootstrap samples.
      seed: of the resampling.
      confidence: nominal, in (0, 1).

    Raises:
      ValueError: fewer than two values, or one that is not finite.
    """
    sample = checked(values)
    check_confidence(confidence)
    estimate = float(statistic(sample))
    if np.ptp(sample) == 0:
        return Interval(estimate, estimate, estimate, confidence, len(sample), "BCa, no spread")
    rng = np.random.default_rng(seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = _bootstrap(sample, statistic, resamples, rng, confidence)
    limits = found.confidence_interval
    low, high, method = float(limits.low), float(limits.high), "BCa"
    if not (math.isfinite(low) and math.isfinite(high)):
        tails = [(1 - confidence) / 2, (1 + confidence) / 2]
        low, high = np.quantile(found.bootstrap_distribution, tails).tolist()
        method = "percentile, since BCa is undefined for these ties"
    return Interval(estimate, low, high, confidence, len(sample), method)


def resampling_interval(
    statistic: Callable[[Indices], Floats],
    n: int,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Expanded percentile bootstrap of anything computed from n seeds or clusters.

    The percentile interval of n values is too short, by about sqrt((n - 1)/n) and by the normal
    quantile in place of t's; Hesterberg 2015 (The American Statistician 69, "What teachers should
    know about the bootstrap") takes percentiles further out to make up for both:
    Phi(-sqrt(n/(n - 1)) t). An increasing transformation of the statistic transforms the limits.

    Args:
      statistic: of an (m, n) array of indices below n, m samples; returns (m,) finite values.
      n: number of seeds or clusters, >= 2; their data stay together when they are resampled.
      resamples: number of bootstrap samples.
      seed: of the resampling.
      confidence: nominal, in (0, 1).

    Raises:
      ValueError: n < 2.
    """
    return resampling_intervals(lambda picks: [statistic(picks)], n, resamples, seed, confidence)[0]


def resampling_intervals(
    statistics: Callable[[Indices], Sequence[Floats]],
    n: int,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> list[Interval]:
    """`resampling_interval` for several statistics of the same resamples.

    Raises:
      ValueError: n < 2.
    """
    if n < 2:
        raise ValueError(f"an interval needs at least 2 seeds or clusters, not {n}")
    tail = expanded_tail(n, confidence)
    picks = np.random.default_rng(seed).integers(0, n, (resamples, n))
    found = []
    for whole, resampled in zip(statistics(np.arange(n)[None]), statistics(picks), strict=True):
        low, high = np.quantile(resampled, [tail, 1 - tail]).tolist()
        found.append(Interval(float(whole[0]), low, high, confidence, n, "expanded percentile"))
    return found


def binomial_interval(hits: int, n: int, confidence: float = 0.95) -> Interval:
    """Exact limits of a rate (Clopper and Pearson 1934, Biometrika 26): never below nominal.

    Args:
      hits: successes, 0 <= hits <= n.
      n: independent trials, >= 1.
      confidence: nominal, in (0, 1).

    Raises:
      ValueError: counts that can't be.
    """
    check_confidence(confidence)
    if not 0 <= hits <= n or n < 1:
        raise ValueError(f"{hits} hits in {n} trials cannot be")
    tail = (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, hits, n - hits + 1)) if hits else 0.0
    high = float(stats.beta.isf(tail, hits + 1, n - hits)) if hits < n else 1.0
    return Interval(hits / n, low, high, confidence, n, "Clopper-Pearson")


def checked(values: ArrayLike) -> Floats:
    """Finite values as float64 (n,).

    Raises:
      ValueError: another shape, fewer than two values, or one that is not finite.
    """
    sample = np.asarray(values, np.float64)
    if sample.ndim != 1 or len(sample) < 2:
        raise ValueError(f"an interval needs at least 2 values in a row, not shape {sample.shape}")
    if not np.isfinite(sample).all():
        raise ValueError("a value is not finite; leave failed runs out and report how many failed")
    return sample


def checked_pair(a: ArrayLike, b: ArrayLike) -> tuple[Floats, Floats]:
    """Two samples of one length, as `checked`.

    Raises:
      ValueError: they differ in length, or what `checked` refuses.
    """
    first, second = checked(a), checked(b)
    if len(first) != len(second):
        raise ValueError(f"pairs need two samples of one length, not {len(first)}, {len(second)}")
    return first, second


def check_confidence(confidence: float) -> None:
    """Raises ValueError unless 0 < confidence < 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence lies between 0 and 1, not at {confidence}")


def t_quantile(confidence: float, df: float) -> float:
    """How many standard errors a two-sided t interval reaches to each side."""
    check_confidence(confidence)
    return float(stats.t.isf((1 - confidence) / 2, df))


def expanded_tail(n: int, confidence: float) -> float:
    """The tail probability at which `resampling_interval` cuts a bootstrap distribution of n."""
    return float(stats.norm.sf(math.sqrt(n / (n - 1)) * t_quantile(confidence, n - 1)))


def _bootstrap(
    sample: Floats,
    statistic: Callable[..., Any],
    resamples: int,
    rng: np.random.Generator,
    confidence: float,
) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        return stats.bootstrap(
            (sample,),
            statistic,
            n_resamples=resamples,
            rng=rng,
            confidence_level=confidence,
            method="BCa",
        )
