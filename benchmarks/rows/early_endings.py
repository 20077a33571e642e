"""Cells that end early free their lanes: against the same plane when every cell runs its course."""

from row import Row, Side

_SIDE = "benchmarks/sides/minima_plane.py"

ROWS = [
    Row(
        "early_endings",
        "MLP plane, a third of its cells diverging or at their target early",
        Side("minima, lanes refilled", (_SIDE, "mlp", "--endings=early")),
        (Side("minima, all cells to the end", (_SIDE, "mlp", "--endings=late")),),
        1.3,
    )
]
