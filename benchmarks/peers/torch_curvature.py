"""The same with PyHessian or curvlinops, a checkpoint at a time: TOOL SIZE DATA.npz OUT.npz [COUNT]

Prints one JSON line, and keeps the numbers of each in OUT. COUNT measures that many only: one costs
as much as another.
"""

import json
import sys
import time
import warnings
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from checkpoints import COUNT, checkpoints, examples

PRODUCTS = 20


def network(params: dict[str, np.ndarray]) -> nn.Module:
    """The perceptron with these weights."""
    inputs, hidden = params["w1"].shape
    classes = len(params["b2"])
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes)
    )
    with torch.no_grad():
        for layer, number in ((model[1], 1), (model[3], 2)):
            layer.weight.copy_(torch.from_numpy(params[f"w{number}"]).T)
            layer.bias.copy_(torch.from_numpy(params[f"b{number}"]))
    return model


def by_pyhessian(model: nn.Module, data: tuple) -> tuple[float, list[float]]:
    """Largest eigenvalue by power iteration; the trace's samples. Never ends early: -inf, not 0."""
    from pyhessian import hessian

    of = hessian(model, nn.CrossEntropyLoss(), data=data, cuda=False)
    top = of.eigenvalues(maxIter=PRODUCTS, tol=-np.inf)[0][0]
    return top, of.trace(maxIter=PRODUCTS, tol=-np.inf)


def by_curvlinops(model: nn.Module, data: tuple) -> tuple[float, list[float]]:
    """Largest eigenvalue by SciPy's Lanczos; the trace's samples by products with signs."""
    from curvlinops import HessianLinearOperator
    from scipy.sparse.linalg import eigsh

    params = list(model.parameters())
    of = HessianLinearOperator(
        model, nn.CrossEntropyLoss(), params, [data], check_deterministic=False
    )
    top = eigsh(of.to_scipy(), k=1, which="LA", ncv=PRODUCTS, maxiter=1, tol=1e-2)[0][0]
    size = sum(p.numel() for p in params)
    signs = torch.randint(0, 2, (size, PRODUCTS)).float() * 2 - 1
    return top, ((of @ signs) * signs).sum(0).tolist()


def main(tool: str, size: str, data: str, out: str, count: str = str(COUNT)) -> None:
    """Measures every checkpoint and prints."""
    warnings.simplefilter("ignore")
    inputs, labels = examples(data, size)
    batch = torch.from_numpy(inputs), torch.from_numpy(labels.astype(np.int64))
    measure = {"pyhessian": by_pyhessian, "curvlinops": by_curvlinops}[tool]
    torch.manual_seed(0)
    models = [network(params) for params in islice(checkpoints(size), int(count))]
    begin = time.perf_counter()
    found = [measure(model, batch) for model in models]
    seconds = time.perf_counter() - begin
    tops, samples = np.array([top for top, _ in found]), np.array([s for _, s in found])
    errors = samples.std(1, ddof=1) / samples.shape[1] ** 0.5
    np.savez(out, tops=tops, traces=samples.mean(1), errors=errors)
    print(json.dumps({"seconds": seconds, "minima": len(tops)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
