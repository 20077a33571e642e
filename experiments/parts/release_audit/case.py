"""The renter case: what the trained models predict, and what the audit says of it."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from minima.evaluation import arrays, disparity
from minima.evaluation.audit import Audit, Evidence, audit, make_evidence
from minima.evaluation.recalibration import fit_temperature
from minima.record.snapshots import Snapshots
from minima.sweep.minima import predict_logits
from minima.sweep.run import Prepared
from minima.tasks.datasets import leases
from minima.tasks.datasets.leases import ELSEWHERE, Renters
from parts.release_audit.config import RECALIBRATED, STATES, WHOLE

Floats = NDArray[np.float64]

GROUPS, CUES, COVERED = ("origin", "age"), ("portal",), ("city", "burden")
KINDS = ("groups", "cues", "covered", "deployed")  # of evidence, beside labels and scores


@dataclass(frozen=True)
class Audited:
    """One model in one state, and what the audit says.

    Attributes:
      state, seed: which.
      evidence: what the audit got.
      found: what it says.
      in_use: accuracy on applications in the cities that it was trained in at first.
      elsewhere: accuracy on applications in the seven others.
      temperature: that logits were divided by.
    """

    state: str
    seed: int
    evidence: Evidence
    found: Audit
    in_use: float
    elsewhere: float
    temperature: float = 1.0

    def gap(self, rate: str) -> float:
        """Between origins."""
        decided, of = self.evidence.decided, self.evidence.groups["origin"]
        return disparity.gap(rate, self.evidence.labels, decided, of).difference


@dataclass(frozen=True)
class _Said:
    """Logits of all seeds, (seeds, n, 2), of one state's data."""

    test: Floats
    validation: Floats
    use: Floats


def audit_all(prepared: Mapping[str, Prepared]) -> list[Audited]:
    """Every state, every seed; the last state once more with mended confidence."""
    found: list[Audited] = []
    for state, each in prepared.items():
        said = _predicted(each, state)
        seeds = each.plan.config.grid.seeds
        for i, seed in enumerate(seeds):
            found.append(_audited(state, seed, said.test[i], said.use[i], 1.0))
        if state == WHOLE:
            labels = each.plan.dataset.validation.labels
            for i, seed in enumerate(seeds):
                value = fit_temperature(said.validation[i], labels).value
                again = _audited(state, seed, said.test[i], said.use[i], value)
                found.append(replace(again, state=RECALIBRATED))
    return found


def silences(evidence: Evidence) -> dict[tuple[str, ...], Audit]:
    """What the audit says where some of the evidence is missing: by what is there."""
    found = {}
    for count in range(len(KINDS)):
        for there in itertools.combinations(KINDS, count):
            # Every kind is a dict of arrays; mypy can't match names that a loop gives to fields.
            missing: dict[str, dict] = {name: {} for name in KINDS if name not in there}
            found[there] = audit(replace(evidence, **missing))  # type: ignore[arg-type]
    return found


def states_of(found: Sequence[Audited]) -> list[str]:
    """Which states there are, in their order."""
    return list(dict.fromkeys(each.state for each in found))


def of_state(found: Sequence[Audited], state: str) -> list[Audited]:
    """One state's, in the order of seeds."""
    return [each for each in found if each.state == state]


def _audited(state: str, seed: int, test: Floats, use: Floats, temperature: float) -> Audited:
    mends = leases.parse_mends(STATES[state].partition(":")[2])
    tested, applied = leases.held_out(mends), leases.applications(mends)
    evidence = _evidence(tested, applied, arrays.softmax(test / temperature))
    right = use.argmax(axis=1) == applied.labels
    new = np.isin(applied.columns["city"], ELSEWHERE)
    in_use, elsewhere = float(right[~new].mean()), float(right[new].mean())
    found = audit(evidence, seed=seed)
    return Audited(state, seed, evidence, found, in_use, elsewhere, temperature)


def _evidence(tested: Renters, applied: Renters, probabilities: Floats) -> Evidence:
    def picked(names: Sequence[str], of: Renters = tested) -> dict[str, NDArray]:
        return {name: of.columns[name] for name in names}

    return make_evidence(
        tested.labels,
        probabilities,
        threshold=0.5,
        groups=picked(GROUPS),
        cues=picked(CUES),
        covered=picked(COVERED),
        deployed=picked(COVERED, applied),
    )


def _predicted(prepared: Prepared, state: str) -> _Said:
    """Minima of all seeds, on everything that is asked of them at once: one executable."""
    plan, data = prepared.plan, prepared.plan.dataset
    applied = leases.applications(leases.parse_mends(STATES[state].partition(":")[2]))
    parts = (data.test.inputs, data.validation.inputs, applied.inputs)
    snapshots = Snapshots(prepared.directory)
    points = [(cell, snapshots.steps(cell)[-1]) for cell in range(len(plan.cells))]
    mesh = plan.layout.make_mesh()
    logits = predict_logits(plan, snapshots, points, np.concatenate(parts), mesh)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return _Said(*(part.astype(np.float64) for part in np.split(logits, ends, axis=1)))
