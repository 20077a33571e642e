"""What a measurement says: frozen numbers with their errors, printed as a table."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from scipy import stats


@dataclass(frozen=True)
class Measured:
    """One number.

    Attributes:
      value: the estimate.
      standard_error: over random probes; NaN where nothing is random.
      residual: how far the nearest true eigenvalue is at most; NaN where it is none.
      sample_size: examples it was taken over.
      probes: random vectors behind the standard error.
      converged: whether residual or standard error are small beside the value, and the value is one
        that the quantity can have.
    """

    value: float
    standard_error: float = math.nan
    residual: float = math.nan
    sample_size: int = 0
    probes: int = 0
    converged: bool = True

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The t interval over probes; the value alone where nothing is random."""
        if math.isnan(self.standard_error):
            return self.value, self.value
        half = stats.t.ppf(0.5 + level / 2, self.probes - 1) * self.standard_error
        return self.value - half, self.value + half

    def __str__(self) -> str:
        text = f"{self.value:.4g}"
        if not math.isnan(self.standard_error):
            low, high = self.interval()
            text += f" [{low:.4g}, {high:.4g}]"
        if not math.isnan(self.residual):
            text += f" (residual {self.residual:.1g})"
        return text if self.converged else f"{text} not converged"


@dataclass(frozen=True)
class Measurement:
    """Everything that was measured at one minimum; `measurement.lambda_max`, or by name.

    Attributes:
      measured: by name, in the order measured.
    """

    measured: Mapping[str, Measured]

    def __post_init__(self) -> None:
        """Freezes the mapping."""
        object.__setattr__(self, "measured", MappingProxyType(dict(self.measured)))

    def __getattr__(self, name: str) -> Measured:
        """One of the measured numbers.

        Raises:
          AttributeError: it was not measured.
        """
        measured = self.__dict__.get("measured", {})
        if name in measured:
            return measured[name]
        raise AttributeError(f"{name!r} was not measured; there are {', '.join(measured)}")

    def __getitem__(self, name: str) -> Measured:
        """One of the measured numbers, by name; raises KeyError where it was not measured."""
        return self.measured[name]

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self.measured)

    def __str__(self) -> str:
        width = max(map(len, self.measured), default=0)
        rows = [f"{name:<{width}}  {found}" for name, found in self.measured.items()]
        sizes = sorted({found.sample_size for found in self.measured.values()})
        sizes_text = ", ".join(f"{size:,}" for size in sizes)
        return "\n".join([*rows, f"{'examples':<{width}}  {sizes_text}"])
