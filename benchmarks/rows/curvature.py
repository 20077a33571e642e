"""Curvature of 32 minima in one program against curvature tools, a checkpoint at a time.

`benchmarks/results/` of this row is about time only; that the numbers agree is for
`python benchmarks/agreement.py`.
"""

from row import Row, Side

_PEER = "benchmarks/peers/torch_curvature.py"


def _peer(tool: str, name: str) -> Side:
    return Side(name, (_PEER, tool, "{data}", "{folder}/out.npz", "4"), peer=True)


ROWS = [
    Row(
        "curvature",
        "λmax (20 products), trace (20 probes) of 32 MLPs (peers: of 4), with compiling",
        Side("minima", ("benchmarks/sides/minima_curvature.py", "{data}", "{folder}/out.npz")),
        (_peer("pyhessian", "PyHessian"), _peer("curvlinops", "curvlinops")),
        5.0,
        per="minima",
        data="mlp",
    )
]
