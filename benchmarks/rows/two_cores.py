"""Two host devices on two cores against one device on one core."""

from row import Row, Side
from workloads import WORKLOADS

_SIDE = "benchmarks/sides/minima_plane.py"


def _row(model: str) -> Row:
    return Row(
        f"two_cores_{model}",
        f"the {model} plane on two cores against one",
        Side("2 devices", (_SIDE, model, "--devices=2"), cores=2),
        (Side("1 device", (_SIDE, model, "--devices=1"), cores=1),),
        1.8,
        per="examples",
    )


ROWS = [_row(model) for model in WORKLOADS]
