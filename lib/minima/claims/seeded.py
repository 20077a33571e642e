"""Claims of one number a seed, of a count, or of a number without chance; and their verdicts."""

import functools
from collections.abc import Callable, Sequence
from typing import TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike

from minima.claims.choosing import UndecidedError
from minima.claims.claim import Claim, Measurement, Verdict, judge_by_rule, judge_claim
from minima.claims.controls import LEAST_SEEDS
from minima.claims.evidence import NO_EVIDENCE, Floats
from minima.statistics.intervals import Interval, binomial_interval, t_interval

Judged = tuple[Claim, Verdict]
Fixed = tuple[str, float, float, str]  # rule, prediction, tolerance and unit; see `claim`
_NO_SEEDS = np.empty(0)


class About(TypedDict, total=False):
    """What a claim may say beside its rule.

    source, protocol: where they differ from the experiment's.
    notes: what a reader must know.
    caveat: why a PASS would only be PARTIAL.
    """

    source: str
    protocol: str
    notes: Sequence[str]
    caveat: str


class Judge:
    """Judges what one experiment claims; every rule and tolerance is fixed before the data.

    Each method takes an `id`, short and unique in the experiment, the `sentence` that is claimed,
    what is `fixed`, and `About`.
    """

    def __init__(self, experiment: str, source: str, protocol: str) -> None:
        """`source` and `protocol` are those of every claim that doesn't say otherwise."""
        self._experiment, self._source, self._protocol = experiment, source, protocol

    def over_seeds(
        self,
        id: str,
        sentence: str,
        fixed: Fixed,
        values: ArrayLike | Callable[[], ArrayLike],
        **about: Unpack[About],
    ) -> Judged:
        """A statistic of one number a seed, most often a paired difference; Student's interval.

        With LEAST_SEEDS seeds or more, a planted effect and an A/A comparison come with it.
        `values` are (seeds,), or a function that returns them and may raise UndecidedError.
        """

        def measure() -> tuple[Interval, Floats]:
            found = np.asarray(values() if callable(values) else values, np.float64)
            if len(found) < 2 or not np.isfinite(found).all():
                raise UndecidedError("2 or more seeds, and runs that do not fail")
            return t_interval(found), found

        return self._judged(id, sentence, fixed, measure, about)

    def share(
        self,
        id: str,
        sentence: str,
        fixed: Fixed,
        hits: int,
        trials: int,
        **about: Unpack[About],
    ) -> Judged:
        """A share in %, `hits` of `trials`, between exact binomial limits (Clopper-Pearson)."""

        def measure() -> tuple[Interval, Floats]:
            if not trials:
                raise UndecidedError("trials")
            return binomial_interval(hits, trials).map(lambda share: 100 * share), _NO_SEEDS

        return self._judged(id, sentence, fixed, measure, about)

    def exact(
        self, id: str, sentence: str, fixed: Fixed, value: float, **about: Unpack[About]
    ) -> Judged:
        """A number that comes out the same every time: counted, or computed in closed form."""

        def measure() -> tuple[Interval, Floats]:
            if not np.isfinite(value):
                raise UndecidedError("a measurement that does not fail")
            return Interval(value, value, value, 0.95, 1, "exact"), _NO_SEEDS

        return self._judged(id, sentence, fixed, measure, about)

    def interval(
        self, id: str, sentence: str, fixed: Fixed, interval: Interval, **about: Unpack[About]
    ) -> Judged:
        """A statistic whose interval was found elsewhere: a fitted slope, say."""
        return self._judged(id, sentence, fixed, lambda: (interval, _NO_SEEDS), about)

    def _judged(
        self,
        id: str,
        sentence: str,
        fixed: Fixed,
        measure: Callable[[], tuple[Interval, Floats]],
        about: About,
    ) -> Judged:
        @functools.cache  # judging asks more than once
        def measured() -> Measurement:
            notes, caveat = tuple(about.get("notes", ())), about.get("caveat", "")
            return Measurement(*measure(), notes=notes, caveat=caveat)

        rule, predicted, tolerance, unit = fixed
        claim = Claim(
            id=id,
            source=about.get("source") or self._source,
            sentence=sentence,
            protocol=about.get("protocol") or self._protocol,
            rule=rule,
            predicted=predicted,
            tolerance=tolerance,
            unit=unit,
            needs=(),
            measure=lambda _: measured(),
            experiment=self._experiment,
        )
        try:
            controlled = len(measured().contrast) >= LEAST_SEEDS
        except UndecidedError:
            controlled = False
        return claim, (judge_claim if controlled else judge_by_rule)(claim, NO_EVIDENCE)
