"""TensorBoard curves, written and read back."""

from row import Row, Side

_OURS, _THEIRS = ("1000", "50", "200"), ("20", "50", "200")  # cells, metrics, points
_PLANE = "benchmarks/sides/minima_plane.py"
_READ = "benchmarks/sides/load_records.py"


def _writes(count: tuple[str, ...]) -> Side:
    return Side("minima", ("benchmarks/sides/minima_records.py", "{folder}", *count))


ROWS = [
    Row(
        "records",
        "1,000 cells × 50 metrics × 200 points written (the peer: 20 cells)",
        _writes(_OURS),
        (
            Side(
                "tensorboardX",
                ("benchmarks/peers/tensorboardx_records.py", "{folder}", *_THEIRS),
                peer=True,
            ),
        ),
        50.0,
        per="points",
    ),
    Row(
        "records_read",
        "the same read by TensorBoard (20 cells each)",
        Side("minima", (_READ, "{folder}", "minima", *_THEIRS)),
        (Side("tensorboardX", (_READ, "{folder}", "tensorboardX", *_THEIRS), peer=True),),
        1.0,
        per="points",
    ),
    Row(
        "records_in_a_sweep",
        "the MLP plane with all its records, against one that writes nothing",
        Side("minima", (_PLANE, "mlp")),
        (Side("minima, nothing written", (_PLANE, "mlp", "--bare")),),
        0.98,
        per="examples",
    ),
]
