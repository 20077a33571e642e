"""What `python -m minima diagnose` prints."""

from collections import Counter
from collections.abc import Iterator, Mapping

from minima.claims.diagnosis import DIAGNOSES, HEALTHY, OVERFIT, UNSTABLE, Diagnosis, diagnose
from minima.claims.logs import Logs

MOST_LINES = 40  # of courses told one by one

# How the place belongs to the finding.
_PLACES = {OVERFIT: ", best at", UNSTABLE: " at"}


def report(logs: Logs) -> str:
    """A diagnosis with its evidence for every course; of many, counts and the first of each."""
    found = {name: diagnose(curves) for name, curves in logs.items()}
    return "\n".join(_lines(logs, found))


def _lines(logs: Logs, found: Mapping[str, Diagnosis]) -> Iterator[str]:
    shown = list(found)
    if len(found) > 1:
        counts = Counter(each.name for each in found.values())
        told = ", ".join(f"{counts[name]} {name}" for name in DIAGNOSES if counts[name])
        yield f"{len(found)} courses: {told}"
    if len(found) > MOST_LINES:
        firsts: dict[str, str] = {}
        for name, each in found.items():
            firsts.setdefault(each.name, name)
        shown = list(firsts.values())
        yield "the first of each:"
    for name in shown:
        each, unit = found[name], logs[name].unit
        place = f"{_PLACES[each.name]} {unit} {each.where:g}" if each.name in _PLACES else ""
        yield f"{name}: {each.name}{place}"
        yield f"  evidence: {each.evidence}"
        yield f"  {'next' if each.name == HEALTHY else 'what helps'}: {each.advice}"
