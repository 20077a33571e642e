"""Planes of batch sizes × learning rates against a PyTorch loop over their cells."""

from row import Row, Side
from workloads import WORKLOADS

_TITLES = {
    "cnn_small": "CNN on Fashion-MNIST",
    "mlp": "MLP on Fashion-MNIST",
    "lstm": "LSTM on characters",
    "transformer": "transformer on characters",
}
_WANTED = {"cnn_small": 1.15, "mlp": 1.4, "lstm": 1.1, "transformer": 1.3}  # of the time
_SHARES = {"cnn_small": 0.5, "mlp": 0.8, "lstm": 0.7, "transformer": 0.5}  # of the peak


def _torch(model: str, processes: int, threads: int, *options: str) -> Side:
    path = "benchmarks/peers/torch_plane.py"
    settings = (f"--processes={processes}", f"--threads={threads}", *options)
    name = f"PyTorch, {processes} × {threads} threads" + (", compiled" if options else "")
    return Side(name, (path, model, "{data}", *settings), peer=True)


def _row(model: str) -> Row:
    work = WORKLOADS[model]
    plane = f"{len(work.batch_sizes)} × {len(work.learning_rates)} cells, {work.epochs} epochs"
    return Row(
        f"plane_{model}",
        f"{_TITLES[model]}: {plane}",
        Side("minima", ("benchmarks/sides/minima_plane.py", model)),
        (_torch(model, 1, 2), _torch(model, 2, 1)),
        _WANTED[model],
        per="examples",
        data=model,
        flops=work.flops,
        share=_SHARES[model],
    )


ROWS = [_row(model) for model in WORKLOADS]
