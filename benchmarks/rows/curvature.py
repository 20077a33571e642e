"""Curvature of 32 minima in one program against curvature tools, a checkpoint at a time.

`benchmarks/results/` of this row is about time only; that the numbers agree is for
`python benchmarks/agreement.py`.
"""

from row import Row, Side

_OURS, _PEER = "benchmarks/sides/minima_curvature.py", "benchmarks/peers/torch_curvature.py"
_TITLES = {"large": "784-128-10 over 3,200 images", "small": "49-64-10 over 1,000 images"}


def _row(name: str, size: str, count: int) -> Row:
    def peer(tool: str, title: str) -> Side:
        return Side(title, (_PEER, tool, size, "{data}", "{folder}/out.npz", str(count)), peer=True)

    return Row(
        name,
        f"λmax (20 products) and trace (20 probes) of 32 MLPs {_TITLES[size]} (peers: of {count}), "
        "with compiling",
        Side("minima", (_OURS, size, "{data}", "{folder}/out.npz")),
        (peer("pyhessian", "PyHessian"), peer("curvlinops", "curvlinops")),
        5.0,
        per="minima",
        data="mlp",
    )


ROWS = [_row("curvature", "large", 4), _row("curvature_small", "small", 32)]
