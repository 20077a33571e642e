"""The audit's own error rates: clean systems, planted faults, and faults of rising size."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from minima.evaluation import audit_checks
from minima.evaluation.audit import (
    BLOCKED,
    CONFIDENCE,
    COVERAGE,
    GROUPS,
    NOT_ANSWERABLE,
    OK,
    SHORTCUTS,
    SIGN_OFF,
    Audit,
    audit,
)
from minima.evaluation.limits import Limits
from minima.record.kept import Kept
from parts.release_audit.config import OperatingConfig
from parts.release_audit.systems import FAULTS, GRADED, SIZES, System

VERDICTS = (SIGN_OFF, BLOCKED, NOT_ANSWERABLE)
ANSWERS = (OK, BLOCKED, NOT_ANSWERABLE)
_LOT = 20  # systems that are kept together: what an interruption loses at most
_FIRST = 1_000_000  # seeds of faults and curves lie far from those of clean systems


@dataclass(frozen=True)
class Operating:
    """How often the audit said what.

    Attributes:
      clean: of clean systems, counts by VERDICTS.
      faults: by name of a fault, how often its own question blocked it, and of how many.
      curves: by name of a graded fault, for each of SIZES counts by ANSWERS.
    """

    clean: Mapping[str, int]
    faults: Mapping[str, tuple[int, int]]
    curves: Mapping[str, list[Mapping[str, int]]]


def operate(config: OperatingConfig, kept: Kept) -> Operating:
    """Audits all systems; those that are on disk are not audited again."""
    n = config.audited_examples

    def clean(seed: int) -> str:
        return audit(System(seed, n).evidence()).verdict

    found = _counted(clean, config.clean_systems, kept, what="clean systems", examples=n)
    faults = {}
    for number, fault in enumerate(FAULTS):

        def broken(seed: int, number: int = number) -> str:
            fault = FAULTS[number]
            system = System(_FIRST * (1 + number) + seed, n)
            fault.plant(system)
            return audit(system.evidence()).answer(fault.question)

        hits = _counted(broken, config.fault_draws, kept, what=fault.name, examples=n)
        faults[fault.name] = hits.get(BLOCKED, 0), sum(hits.values())
    curves: dict[str, list[Mapping[str, int]]] = {}
    for number, graded in enumerate(GRADED):
        curves[graded.name] = []
        for size in SIZES:

            def sized(seed: int, number: int = number, size: float = size) -> str:
                return _graded(number, size, seed, n)

            counts = _counted(
                sized, config.curve_draws, kept, what=graded.name, size=size, examples=n
            )
            curves[graded.name].append(counts)
    return Operating(found, faults, curves)


def _graded(number: int, size: float, seed: int, n: int) -> str:
    """What the fault's own question says; the others are not asked."""
    graded = GRADED[number]
    system = System(_FIRST * (100 + 10 * number + SIZES.index(size)) + seed, n)
    graded.plant(system, size * graded.limit)
    evidence, limits = system.evidence(), Limits()
    asked: dict[str, Callable[[], Any]] = {
        COVERAGE: lambda: audit_checks.coverage(evidence, limits),
        SHORTCUTS: lambda: audit_checks.shortcuts(evidence, limits, 0),
        GROUPS: lambda: audit_checks.groups(evidence, limits),
        CONFIDENCE: lambda: audit_checks.confidence(evidence, limits, 0),
    }
    findings = tuple(asked[graded.question]())
    return Audit(findings, len(evidence), float(evidence.right.mean())).answer(graded.question)


def _counted(say: Callable[[int], str], draws: int, kept: Kept, **what: Any) -> dict[str, int]:
    """How often each answer was given, over seeds from 0 to draws."""
    counts: dict[str, int] = {}
    for begin in range(0, draws, _LOT):
        end = min(begin + _LOT, draws)

        def lot(begin: int = begin, end: int = end) -> list[str]:
            return [say(seed) for seed in range(begin, end)]

        for answer in kept.get(lot, **what, seeds=[begin, end]):
            counts[answer] = counts.get(answer, 0) + 1
    return counts
