"""The shape of a mesh over devices, as a flag gives it. Cheap to import: no JAX."""

import re
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Axes:
    """How many devices lie along each axis of a mesh.

    Attributes:
      data: devices that divide a micro-step's examples between them.
      model: devices that divide parameters, and the work with them.
    """

    data: int = 1
    model: int = 1

    @property
    def size(self) -> int:
        """Devices in all."""
        return self.data * self.model

    def __str__(self) -> str:
        """As the flag is written: "data:4,model:2"; axes of one device are left out."""
        sizes = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return ",".join(f"{name}:{n}" for name, n in sizes if n > 1) or "data:1"


def parse_axes(text: str) -> Axes | None:
    """Reads "data:4,model:2", in any order; None for an empty text.

    Raises:
      ValueError: another axis, one that comes twice, or a size that is no whole number from 1.
    """
    sizes: dict[str, int] = {}
    for part in text.split(",") if text.strip() else []:
        found = re.fullmatch(r"\s*(data|model)\s*:\s*([1-9]\d{0,8})\s*", part, re.ASCII)
        if found is None or found[1] in sizes:
            raise ValueError("give axes data and model, each once; use e.g. data:4,model:2")
        sizes[found[1]] = int(found[2])
    return Axes(**sizes) if sizes else None


def format_axes(axes: Axes | None) -> str:
    """The inverse of `parse_axes`."""
    return "" if axes is None else str(axes)
