"""Launchers as a user starts them, and a real Slurm for those of its jobs."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import Cluster, missing_programs
from sweeps import Sweeps, run_unsplit

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes, one pair per worker of the tests; nothing of them is left behind."""
    if missing := missing_programs():
        pytest.skip(f"no Slurm here ({', '.join(missing)} not installed)")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"), gpus=False)
    cluster.environment["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    cluster.environment["JAX_PLATFORMS"] = "cpu"
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def launch() -> Callable[..., subprocess.CompletedProcess]:
    """Runs `python launch/PROGRAM WORDS`, in a folder and environment of its own."""

    def launch(program, *words, cwd, environment=None):
        command = [sys.executable, str(ROOT / "launch" / program), *map(str, words)]
        where = {"cwd": cwd, "env": environment or dict(os.environ)}
        return subprocess.run(command, capture_output=True, text=True, timeout=120, **where)

    return launch


@pytest.fixture
def sweeps(
    slurm: Cluster, launch: Callable[..., subprocess.CompletedProcess], tmp_path: Path
) -> Iterator[Sweeps]:
    """Submits real experiments; what a test leaves in the queue goes with it."""
    yield Sweeps(slurm, launch, tmp_path)
    slurm.cancel_all()


@pytest.fixture(scope="session")
def unsplit(
    slurm: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[tuple[str, ...]], Path]:
    """What one process on one machine gives, by flags; also, a compiled program for all others."""
    known: dict[tuple[str, ...], Path] = {}

    def unsplit(flags):
        if flags not in known:
            folder = tmp_path_factory.mktemp("unsplit")
            known[flags] = run_unsplit(flags, folder, slurm.environment)
        return known[flags]

    return unsplit
