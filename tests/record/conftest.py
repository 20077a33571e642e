"""Finished cells to record, made without training anything."""

import itertools
import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from bucket_store import BucketFileSystem

from minima.record import lease, mirrored, remote

METRICS = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
)


def _make_cell(
    batch_size: int = 32,
    learning_rate: float = 0.1,
    seed: int = 0,
    status: str = "complete",
    accuracy: float = 0.9,
    evaluations: int = 3,
    **axes: Any,
) -> dict[str, Any]:
    end = math.nan if status == "diverged" else accuracy
    steps = [100 * (i + 1) for i in range(evaluations)]
    examples = [batch_size * step for step in steps]
    finals = {name: end + 0.001 * i for i, name in enumerate(METRICS)}
    curve = [accuracy * (i + 1) / evaluations for i in range(evaluations - 1)]
    return {
        "cell": {"batch_size": batch_size, "learning_rate": learning_rate, "seed": seed, **axes},
        "status": status,
        "steps": steps[-1],
        "examples": examples[-1],
        **finals,
        "test_loss": 1.0 - end,
        "test_accuracy": end,
        "last_finite": {"step": steps[-2], **dict.fromkeys(METRICS, curve[-1])},
        "trajectory": {
            "step": steps,
            "examples": examples,
            **{name: [*curve, finals[name]] for name in METRICS},
        },
    }


def _make_plane(
    batch_sizes: tuple[int, ...], learning_rates: tuple[float, ...], seeds: int
) -> tuple[dict[str, tuple[Any, ...]], list[dict[str, Any]]]:
    """A plane with a ridge at rate ~ batch size, divergence above it and collapse at the edge."""
    axes: dict[str, tuple[Any, ...]] = {
        "batch_size": batch_sizes,
        "learning_rate": learning_rates,
        "seed": tuple(range(seeds)),
    }
    cells = []
    for batch, rate, seed in itertools.product(*axes.values()):
        offset = math.log10(rate / (0.002 * batch**0.7))
        status = "complete"
        if offset + 0.15 * seed > 0.9:
            status = "diverged"
        elif offset + 0.1 * seed > 0.75:
            status = "collapsed"
        peak = 0.985 - 0.012 * math.log2(batch / batch_sizes[0])
        accuracy = (
            0.1 if status == "collapsed" else 0.1 + (peak - 0.1) / (1 + (abs(offset) / 1.3) ** 3)
        )
        cells.append(_make_cell(batch, rate, seed, status, accuracy - 0.001 * seed))
    return axes, cells


@pytest.fixture
def make_cell() -> Callable[..., dict[str, Any]]:
    return _make_cell


@pytest.fixture
def make_plane() -> Callable[..., tuple[dict[str, tuple[Any, ...]], list[dict[str, Any]]]]:
    return _make_plane


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[BucketFileSystem]]:
    """`bucket://`, an object store in a folder, its counters at zero; nothing waits."""
    fsspec.register_implementation("bucket", BucketFileSystem, clobber=True)
    monkeypatch.setenv("BUCKET", str(tmp_path / "bucket"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("BUCKET_FAULTS", raising=False)
    monkeypatch.setattr(remote, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(lease, "_SETTLE", 0.0)
    monkeypatch.setattr(mirrored, "_LAST_WAITS", ())
    (tmp_path / "bucket").mkdir()
    BucketFileSystem.calls = BucketFileSystem.sent = BucketFileSystem.received = 0
    yield BucketFileSystem
    monkeypatch.delenv("BUCKET_FAULTS", raising=False)
    mirrored.finish()
    # One that outlives its test would write into the next one's store.
    assert not {thread.name for thread in threading.enumerate()} & {"lease", "mirror"}
