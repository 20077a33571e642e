"""Which faults matter before a release. Cheap to import."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Which faults matter, and how much data a check needs.

    Attributes:
      least: test examples of a slice, a group, or of those that go against a cue.
      rare: share of the deployment below which a value needs no examples of its own.
      drop: by how much a slice's accuracy may lie below the whole's.
      shift: how far a feature's distribution may move from test set to deployment
        (Kolmogorov-Smirnov distance, or the largest change of a share).
      dependence: how far accuracy may depend on a cue; see `shortcuts.Cue`.
      gap: how far apart groups may be in selection, true and false positive rates.
      calibration: expected calibration error, without the bias of finite bins.
      confidence: of all limits.
    """

    least: int = 100
    rare: float = 0.01
    drop: float = 0.05
    shift: float = 0.1
    dependence: float = 0.1
    gap: float = 0.1
    calibration: float = 0.05
    confidence: float = 0.95
