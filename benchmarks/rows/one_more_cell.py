"""What one more cell costs as the plane grows: against a cell of the first eight."""

from row import Row, Side

_SIDE = "benchmarks/sides/minima_plane.py"


def _row(cells: int) -> Row:
    return Row(
        f"cells_{cells}",
        f"a cell of a plane of {cells:,} MLPs, against one of a plane of 8",
        Side(f"{cells:,} cells", (_SIDE, "mlp", f"--cells={cells}")),
        (Side("8 cells", (_SIDE, "mlp", "--cells=8")),),
        1 / 1.05,
        per="cells",
    )


ROWS = [_row(64), _row(512), _row(2048)]
