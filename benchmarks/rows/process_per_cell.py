"""The same planes as a process per cell, in the style of Flax's MNIST example, start to end."""

from row import Row, Side
from workloads import WORKLOADS


def _row(model: str) -> Row:
    return Row(
        f"processes_{model}",
        f"the {model} plane, {len(WORKLOADS[model].cells)} cells, whole commands",
        Side("minima, one process", ("benchmarks/sides/minima_plane.py", model)),
        (
            Side(
                "Flax example, a process a cell",
                ("benchmarks/peers/flax_cells.py", model, "{data}"),
            ),
        ),
        10.0,
        per="cells",  # the peer trains one of every batch size
        whole=True,
        data=model,
    )


ROWS = [_row("cnn_small"), _row("mlp")]
