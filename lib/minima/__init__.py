"""minima: sweeps as one program, the minima they land in, and verdicts about them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minima.landscape.measure import measure
    from minima.record.results import load

__all__ = ["load", "measure"]


def __getattr__(name: str) -> Any:
    # Imported on first use (PEP 562), so that `--help` does not wait for NumPy and friends.
    if name == "load":
        from minima.record.results import load

        return load
    if name == "measure":
        from minima.landscape.measure import measure

        return measure
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
