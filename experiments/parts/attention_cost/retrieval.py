"""How many needles each network found, read from the sweeps."""

from collections.abc import Mapping

from minima.claims.evidence import Floats
from minima.record import results
from minima.sweep.run import Prepared


def accuracies(prepared: Mapping[tuple[str, int], Prepared]) -> dict[tuple[str, int], Floats]:
    """Test accuracy in % by model and distance, (seeds,) each; NaN where a run failed."""
    return {
        key: 100 * results.load(each.directory).table("test_accuracy")[0, 0]
        for key, each in prepared.items()
    }
