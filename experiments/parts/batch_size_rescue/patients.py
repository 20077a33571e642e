"""Patients and treatments: cells of one plane, and how they did."""

from dataclasses import dataclass

from minima.claims.choosing import at_rate, nearest_rate, reported_hits
from minima.claims.decomposition import Split, split_gap
from minima.claims.evidence import Evidence, Floats
from minima.claims.two_level import crossed_interval
from minima.statistics.intervals import Interval, binomial_interval
from parts.batch_size_rescue.config import PatientsConfig, rounded

UNSTABLE, UNDERTRAINED = "unstable", "undertrained"


@dataclass(frozen=True)
class Arm:
    """A cell of the plane.

    Attributes:
      name: what was done, k being the ratio of the batch sizes.
      batch_size, rate: of its runs.
      source: who proposes the treatment; "control" where only the rate is changed.
    """

    name: str
    batch_size: int
    rate: float
    source: str = ""


@dataclass(frozen=True)
class Patient:
    """A sick run, smaller batches as treatments, and controls in which the rate alone is changed.

    `best` is the treatment that is held against the controls, whatever the data say: for the
    unstable patient the linearly scaled rate, for the undertrained one the same rate.
    """

    name: str
    sick: Arm
    treatments: tuple[Arm, ...]
    controls: tuple[Arm, ...]
    best: Arm

    @property
    def arms(self) -> tuple[Arm, ...]:
        """All of them, the sick run first."""
        return (self.sick, *self.treatments, *self.controls)

    def course(self, arm: Arm) -> str:
        """What a treatment changes, in words."""
        batch = f"batch {self.sick.batch_size} to {arm.batch_size}"
        rate = f"rate {self.sick.rate:.3g} to {arm.rate:.3g}"
        if arm.batch_size == self.sick.batch_size:
            return f"{rate} alone"
        return f"{batch} at the same rate" if arm.rate == self.sick.rate else f"{batch}, {rate}"


def patients(config: PatientsConfig) -> tuple[Patient, Patient]:
    """The unstable and the undertrained one."""
    k, high, low = config.factor, config.unstable_rate, config.timid_rate
    return (
        _patient(UNSTABLE, config, high, {"rate ÷ k": high / k, "rate ÷ √k": high / k**0.5}),
        _patient(UNDERTRAINED, config, low, {"rate × √k": low * k**0.5, "rate × k": low * k}),
    )


def _patient(name: str, config: PatientsConfig, rate: float, alone: dict[str, float]) -> Patient:
    k, small, large = config.factor, config.small_batch, config.large_batch
    same, linear, root = (
        Arm("batch ÷ k", small, rounded(rate), "Keskar 2017, arXiv:1609.04836"),
        Arm("batch, rate ÷ k", small, rounded(rate / k), "Goyal 2017, arXiv:1706.02677"),
        Arm("batch ÷ k, rate ÷ √k", small, rounded(rate / k**0.5), "Hoffer 2017, arXiv:1705.08741"),
    )
    return Patient(
        name,
        sick=Arm("sick run", large, rounded(rate)),
        treatments=(same, linear, root),
        controls=tuple(Arm(what, large, rounded(to), "control") for what, to in alone.items()),
        best=linear if name == UNSTABLE else same,
    )


def place(evidence: Evidence, arm: Arm) -> tuple[int, int]:
    """Row and column of an arm in the plane."""
    plane = evidence.planes["epochs"]
    return plane.batch_sizes.index(arm.batch_size), nearest_rate(plane, arm.rate, within=1 + 1e-5)


def failures(evidence: Evidence, arm: Arm) -> Interval:
    """Share of runs that diverged or collapsed, in %, with exact limits."""
    failed = at_rate(evidence, "epochs", *place(evidence, arm)).failed
    return binomial_interval(failed, len(evidence.reporting)).map(lambda share: 100 * share)


def hits(evidence: Evidence, arm: Arm) -> Floats:
    """(seeds, test examples) in points: 0 or 100; a failed seed has what guessing has."""
    return reported_hits(evidence, "epochs", *place(evidence, arm))


def train_loss(evidence: Evidence, arm: Arm) -> Floats:
    """(seeds,) in nats, NaN for a failed one."""
    return evidence.planes["epochs"].train_loss[place(evidence, arm)]


def interval_of(values: Floats) -> Interval | None:
    """Over seeds and test examples; None for one seed."""
    return crossed_interval(values) if len(values) > 1 else None


def batch_and_rate(patient: Patient, evidence: Evidence) -> Split | None:
    """What batch and rate each do for the unstable patient, in both orders; None for one seed."""
    if len(evidence.reporting) < 2:
        return None
    alone = {"batch": patient.treatments[0], "rate": patient.controls[0]}
    outcomes = {frozenset({name}): hits(evidence, arm) for name, arm in alone.items()}
    outcomes[frozenset()] = hits(evidence, patient.sick)
    outcomes[frozenset(alone)] = hits(evidence, patient.best)
    return split_gap(hits(evidence, patient.best), outcomes, ("batch", "rate"))
