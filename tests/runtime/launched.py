"""Starts several processes as srun would: by the variables that JAX reads of it."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[2]
PATH = os.pathsep.join([str(_ROOT / "lib"), str(_ROOT / "experiments")])


@dataclass(frozen=True)
class Ended:
    """How the processes of a group ended, by rank."""

    codes: list[int]
    out: list[str]
    err: list[str]


class Launched:
    """Processes that run one command; `with Launched(...) as group: group.wait()`."""

    def __init__(
        self,
        command: Sequence[object],
        cwd: Path,
        environment: Mapping[str, str],
        count: int = 2,
        task: Callable[[int, int], dict[str, str]] | None = None,
    ) -> None:
        """Starts `python COMMAND` for each rank; `task` gives variables, by rank and count."""
        common = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": PATH}
        common |= environment
        task = slurm() if task is None else task
        self.processes = [
            subprocess.Popen(
                [sys.executable, *map(str, command)],
                env=common | task(rank, count),
                cwd=cwd,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(count)
        ]

    def wait(self, timeout: float = 240) -> Ended:
        """All of them, to their ends."""
        texts = [process.communicate(timeout=timeout) for process in self.processes]
        codes = [process.returncode for process in self.processes]
        return Ended(codes, [out for out, _ in texts], [err for _, err in texts])

    def __enter__(self) -> "Launched":
        """The group."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Leaves nothing behind."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.communicate()


def slurm() -> Callable[[int, int], dict[str, str]]:
    """What srun tells its tasks."""
    address = f"127.0.0.1:{free_port()}"
    return lambda rank, count: {
        "JAX_COORDINATOR_ADDRESS": address,
        "SLURM_JOB_ID": "1",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": str(count),
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
    }


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
