"""Claims of one number a seed, of a count, or of a number without chance; and their verdicts."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from minima.claims.choosing import UndecidedError
from minima.claims.claim import Claim, Measurement, Verdict, judge_by_rule, judge_claim
from minima.claims.controls import LEAST_SEEDS
from minima.claims.evidence import NO_EVIDENCE
from minima.statistics.intervals import Interval, binomial_interval, t_interval

Judged = tuple[Claim, Verdict]


class Judge:
    """Judges what one experiment claims; every rule and tolerance is fixed before the data."""

    def __init__(self, experiment: str, source: str, protocol: str) -> None:
        """`source` and `protocol` are those of every claim that doesn't say otherwise."""
        self._experiment, self._source, self._protocol = experiment, source, protocol

    def over_seeds(
        self,
        id: str,
        sentence: str,
        fixed: tuple[str, float, float, str],
        values: ArrayLike | Callable[[], ArrayLike],
        *,
        source: str = "",
        protocol: str = "",
        notes: Sequence[str] = (),
        caveat: str = "",
    ) -> Judged:
        """A statistic of one number a seed, most often a paired difference; Student's interval.

        With LEAST_SEEDS seeds or more, a planted effect and an A/A comparison come with it.

        Args:
          id: short and unique in the experiment.
          sentence: what is claimed.
          fixed: rule, prediction, tolerance and unit; see `claim`.
          values: (seeds,), or a function that returns them and may raise UndecidedError.
          source, protocol: where they differ from the experiment's.
          notes: what a reader must know.
          caveat: why a PASS would only be PARTIAL.
        """

        def measure(_: object) -> Measurement:
            found = np.asarray(values() if callable(values) else values, np.float64)
            if len(found) < 2 or not np.isfinite(found).all():
                raise UndecidedError("2 or more seeds, and runs that do not fail")
            return Measurement(t_interval(found), found, notes=tuple(notes), caveat=caveat)

        claim = self._claim(id, sentence, fixed, measure, source, protocol)
        return claim, self._judged(claim, measure)

    def share(
        self,
        id: str,
        sentence: str,
        fixed: tuple[str, float, float, str],
        hits: int,
        trials: int,
        *,
        source: str = "",
        protocol: str = "",
        notes: Sequence[str] = (),
    ) -> Judged:
        """A share in %, `hits` of `trials`, between exact binomial limits (Clopper-Pearson)."""

        def measure(_: object) -> Measurement:
            if not trials:
                raise UndecidedError("trials")
            interval = binomial_interval(hits, trials).map(lambda share: 100 * share)
            return Measurement(interval, np.empty(0), notes=tuple(notes))

        claim = self._claim(id, sentence, fixed, measure, source, protocol)
        return claim, judge_by_rule(claim, NO_EVIDENCE)

    def exact(
        self,
        id: str,
        sentence: str,
        fixed: tuple[str, float, float, str],
        value: float,
        *,
        source: str = "",
        protocol: str = "",
        notes: Sequence[str] = (),
    ) -> Judged:
        """A number that comes out the same every time: counted, or computed in closed form."""

        def measure(_: object) -> Measurement:
            if not np.isfinite(value):
                raise UndecidedError("a measurement that does not fail")
            interval = Interval(value, value, value, 0.95, 1, "exact")
            return Measurement(interval, np.empty(0), notes=tuple(notes))

        claim = self._claim(id, sentence, fixed, measure, source, protocol)
        return claim, judge_by_rule(claim, NO_EVIDENCE)

    def interval(
        self,
        id: str,
        sentence: str,
        fixed: tuple[str, float, float, str],
        interval: Interval,
        *,
        source: str = "",
        protocol: str = "",
        notes: Sequence[str] = (),
    ) -> Judged:
        """A statistic whose interval was found elsewhere: a fitted slope, say."""

        def measure(_: object) -> Measurement:
            return Measurement(interval, np.empty(0), notes=tuple(notes))

        claim = self._claim(id, sentence, fixed, measure, source, protocol)
        return claim, judge_by_rule(claim, NO_EVIDENCE)

    def _claim(
        self,
        id: str,
        sentence: str,
        fixed: tuple[str, float, float, str],
        measure: Callable[..., Measurement],
        source: str,
        protocol: str,
    ) -> Claim:
        rule, predicted, tolerance, unit = fixed
        return Claim(
            id=id,
            source=source or self._source,
            sentence=sentence,
            protocol=protocol or self._protocol,
            rule=rule,
            predicted=predicted,
            tolerance=tolerance,
            unit=unit,
            needs=(),
            measure=measure,
            experiment=self._experiment,
        )

    def _judged(self, claim: Claim, measure: Callable[..., Measurement]) -> Verdict:
        try:
            enough = len(measure(NO_EVIDENCE).contrast) >= LEAST_SEEDS
        except UndecidedError:
            enough = False
        return (judge_claim if enough else judge_by_rule)(claim, NO_EVIDENCE)
