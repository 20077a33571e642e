"""A plane as a PyTorch loop over its cells: the data in memory, a process per share of the cells.

    python benchmarks/peers/torch_plane.py mlp DATA.npz --processes=2 --threads=1

Prints one JSON line. Importing and starting up are not timed, nor is a first cell of each batch
size where torch.compile needs one; processes wait for each other before the clock starts.
"""

import argparse
import json
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1]))
from peers.torch_models import build
from workloads import WORKLOADS, Workload, share

MOMENTUM = 0.9
EVALUATION_BATCH = {"lstm": 64, "transformer": 64}  # 1,000 for the others; the fastest tried

Split = tuple[torch.Tensor, torch.Tensor]


def main() -> None:
    """Trains the plane and prints seconds, examples and the last cell's accuracy."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=sorted(WORKLOADS))
    parser.add_argument("data", help="an npz of train_x, train_y, validation_x, …")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(args.processes), context.Queue()
    others = [
        context.Process(target=run, args=(part, args, barrier, results))
        for part in range(1, args.processes)
    ]
    for process in others:
        process.start()
    run(0, args, barrier, results)
    found = [results.get() for _ in range(args.processes)]
    for process in others:
        process.join()
    begin, end = min(f["begin"] for f in found), max(f["end"] for f in found)
    examples = sum(f["examples"] for f in found)
    accuracy = found[0]["accuracy"]
    print(json.dumps({"seconds": end - begin, "examples": examples, "accuracy": accuracy}))


def run(part: int, args: argparse.Namespace, barrier: Any, results: Any) -> None:
    """One process's share of the cells."""
    torch.set_num_threads(args.threads)
    work, splits = WORKLOADS[args.model], load(args.data, args.device)
    cells = share(work.cells, part, args.processes)
    if args.compile:
        for batch_size in {batch_size for batch_size, _ in cells}:
            train_cell(work, splits, batch_size, 1e-4, args.compile, epochs=1)
    barrier.wait()
    begin, accuracy = time.time(), 0.0
    for batch_size, rate in cells:
        accuracy = train_cell(work, splits, batch_size, rate, args.compile, work.epochs)
    examples = len(cells) * work.epochs * len(splits["train"][1])
    results.put({"begin": begin, "end": time.time(), "examples": examples, "accuracy": accuracy})


def load(path: str, device: str) -> dict[str, Split]:
    """The three splits as tensors on the device."""
    arrays = np.load(path)
    return {
        split: (
            torch.from_numpy(arrays[f"{split}_x"]).to(device),
            torch.from_numpy(arrays[f"{split}_y"].astype(np.int64)).to(device),
        )
        for split in ("train", "validation", "test")
    }


def train_cell(
    work: Workload,
    splits: dict[str, Split],
    batch_size: int,
    rate: float,
    compiled: bool,
    epochs: int,
) -> float:
    """Trains one cell, looks at the validation set every epoch and at all splits in the end.

    Returns the test accuracy.
    """
    torch.manual_seed(0)
    inputs, labels = splits["train"]
    classes, at_once = int(labels.max()) + 1, EVALUATION_BATCH.get(work.model, 1000)
    model = build(work.model, inputs, classes).to(inputs.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=MOMENTUM, fused=True)
    forward = torch.compile(model) if compiled else model
    for _ in range(epochs):
        for index in torch.randperm(len(labels), device=labels.device).split(batch_size):
            logits = forward(inputs[index])
            loss = functional.cross_entropy(logits.flatten(0, -2), labels[index].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        accuracy(model, *splits["validation"], at_once)
    return [accuracy(model, *split, at_once) for split in splits.values()][-1]


@torch.inference_mode()
def accuracy(
    model: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor, at_once: int
) -> float:
    """Share of right predictions."""
    batches = zip(inputs.split(at_once), labels.split(at_once), strict=True)
    right = sum(int((model(x).argmax(-1) == y).sum()) for x, y in batches)
    return right / labels.numel()


if __name__ == "__main__":
    main()
