"""How experiments say what they found: claims with their verdicts, failures first."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from minima.claims.claim import FAILURES_FIRST
from minima.claims.seeded import Judged
from minima.statistics.intervals import Interval


def failures_first(judged: Sequence[Judged]) -> list[Judged]:
    """In the order of every report: the worst first, otherwise as they come."""
    return sorted(judged, key=lambda each: FAILURES_FIRST.index(each[1].verdict))


def verdict_lines(ordered: Sequence[Judged]) -> Iterator[str]:
    """A count of each verdict, then two lines or more for each claim."""
    counts = ", ".join(
        f"{sum(v.verdict == name for _, v in ordered)} {name}" for name in FAILURES_FIRST
    )
    yield f"verdicts, failures first: {counts}"
    for claim, verdict in ordered:
        yield f"{verdict.verdict:<12} {claim.id}: {claim.sentence} [{claim.source}]"
        parts = [verdict.reason, *filter(None, [verdict.enough])]
        if verdict.statistic is not None:
            found = f"{_statistic(verdict.statistic)} {claim.unit}"
            parts.insert(0, f"{found}, predicted {claim.prediction}")
        yield f"{'':<12} {'; '.join(parts)}"
        for note in verdict.notes:
            yield f"{'':<12} note: {note}"


def verdict_entries(ordered: Sequence[Judged]) -> list[dict[str, Any]]:
    """The same for verdict.json."""
    return [
        {
            "sentence": claim.sentence,
            "source": claim.source,
            "rule": [claim.rule, claim.predicted, claim.tolerance],
            **json.loads(verdict.to_json()),
        }
        for claim, verdict in ordered
    ]


def spell(interval: Interval, sign: str = "", digits: int = 2) -> str:
    """An estimate and its limits."""
    numbers = (interval.estimate, interval.low, interval.high)
    estimate, low, high = (f"{number:{sign}.{digits}f}" for number in numbers)
    return f"{estimate} [{low}, {high}]"


def _statistic(interval: Interval) -> str:
    return f"{interval.estimate:+.2f}" if interval.method == "exact" else spell(interval, "+")
