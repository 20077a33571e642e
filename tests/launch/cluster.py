"""A Slurm of two nodes on this machine: real daemons, own key, ports and folder, no root needed."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "srun", "scancel")
CPUS = 2  # of each node, whatever this machine has: both together are oversubscribed at worst
_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"

_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ReturnToService=2
SlurmdTimeout=10
SlurmctldTimeout=10
KillWait=3
MinJobAge=600
SchedulerParameters=sched_interval=2,sched_min_interval=0,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
{gres}
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs={cpus} Boards=1 \
SocketsPerBoard=1 CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory=1000 State=UNKNOWN {node}
PartitionName=low Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 \
PreemptMode=REQUEUE GraceTime=90
PartitionName=high Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""


class Cluster:
    """Running daemons; `environment` is what a client needs."""

    nodes: tuple[str, ...] = ("n1", "n2")

    def __init__(self, folder: Path, gpus: bool) -> None:
        """Writes the configuration; `gpus`: two files a node that Slurm takes for GPUs.

        Raises:
          PermissionError: only root can make those.
        """
        self.folder = folder
        own = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _PATH}
        outer = ("SLURM", "SBATCH", "SRUN")  # of a job that runs the tests
        kept = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
        self.environment = kept | own
        # JAX asks for the first node by name, and no name server knows n1.
        self.environment["JAX_COORDINATOR_ADDRESS"] = f"127.0.0.1:{free_ports(1)}"
        self._daemons: dict[str, subprocess.Popen] = {}
        for name in ("state", "spool.n1", "spool.n2"):
            (folder / name).mkdir()
        folder.chmod(0o755)
        port = free_ports(3)
        values = {"folder": folder, "user": getpass.getuser(), "cpus": CPUS, "port": port}
        values |= {"host": socket.gethostname().split(".")[0], "first": port + 1, "last": port + 2}
        values |= {"gres": "GresTypes=gpu" * gpus, "node": "Gres=gpu:2" * gpus}
        if gpus:
            self._make_gpus()
        (folder / "slurm.conf").write_text(_CONF.format(**values))
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o400)

    def start(self) -> None:
        """Returns when all nodes are idle."""
        paths = {"key-file": "munge.key", "socket": "munge.sock", "pid-file": "munged.pid"}
        paths |= {"log-file": "munged.log", "seed-file": "munged.seed"}
        files = [f"--{name}={self.folder / file}" for name, file in paths.items()]
        self._spawn("munged", "munged", "--force", "--foreground", *files)
        wait_for(lambda: (self.folder / "munge.sock").exists())
        self._spawn("slurmctld", "slurmctld", "-D")
        for node in self.nodes:
            self.start_node(node)
        self.wait_until_idle()

    def start_node(self, node: str) -> None:
        """Starts a node's slurmd."""
        self._spawn(node, "slurmd", "-D", "-N", node, MINIMA_TEST_NODE=node)

    def kill_node(self, node: str) -> None:
        """Ends a node as a power cut does: its daemon, its jobs' keepers and their tasks."""
        mine = {f"MINIMA_TEST_NODE={node}", f"SLURMD_NODENAME={node}"}
        for pid, variables in self._processes():
            if mine & variables:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._daemons.pop(node).wait()

    def stop(self) -> None:
        """Ends everything that runs under this cluster, in whatever state it is."""
        for pid, _ in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for daemon in self._daemons.values():
            daemon.wait()

    def run(self, *command: str) -> str:
        """What one of Slurm's programs prints."""
        return subprocess.run(
            command, env=self.environment, check=True, capture_output=True, text=True, timeout=30
        ).stdout

    def queue(self) -> list[str]:
        """The tasks in the queue: id and state."""
        return self.run("squeue", "--array", "--noheader", "--format=%i %T").splitlines()

    def wait_until_idle(self) -> None:
        """Returns when all nodes wait for work."""
        idle = ("sinfo", "--noheader", "--Node", "--states=idle", "--format=%N")
        wait_for(lambda: set(self.run(*idle).split()) == set(self.nodes))

    def wait_until_empty(self, seconds: float = 120) -> None:
        """Returns when nothing is queued or running any more."""
        wait_for(lambda: not self.queue(), seconds)

    def _make_gpus(self) -> None:
        for number in (0, 1):
            os.mknod(
                self.folder / f"nvidia{number}", stat.S_IFCHR | 0o600, os.makedev(1, 3 + 2 * number)
            )
        gres = f"Name=gpu Flags=nvidia_gpu_env File={self.folder}/nvidia[0-1]\n"
        (self.folder / "gres.conf").write_text(gres)

    def cancel_all(self) -> None:
        """Takes everything out of the queue."""
        for line in self.queue():
            self.run("scancel", line.split()[0])
        self.wait_until_empty()

    def task(self, node: str) -> int:
        """The process id of the only task of a job on a node that is Python."""
        mine = f"SLURMD_NODENAME={node}"
        found = [
            pid for pid, variables in self._processes()
            if mine in variables and "python" in Path(f"/proc/{pid}/exe").resolve().name
        ]  # fmt: skip
        assert len(found) == 1, found
        return found[0]

    def _spawn(self, name: str, *command: str, **variables: str) -> None:
        with open(self.folder / f"{name}.out", "ab") as out:
            self._daemons[name] = subprocess.Popen(
                command, env=self.environment | variables, stdout=out, stderr=out, stdin=out
            )

    def _processes(self) -> Iterator[tuple[int, set[str]]]:
        """Every process that was started with this cluster's configuration, but this one."""
        mine = f"SLURM_CONF={self.folder / 'slurm.conf'}"
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    variables = set((entry / "environ").read_text(errors="replace").split("\0"))
                    if mine in variables:
                        yield int(entry.name), variables


def missing_programs() -> list[str]:
    """What of Slurm is not installed here."""
    return [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]


def free_ports(count: int) -> int:
    """The first of some neighbouring ports that nobody listens at."""
    while True:
        with contextlib.ExitStack() as held, contextlib.suppress(OSError, OverflowError):
            first = held.enter_context(_bound(0)).getsockname()[1]
            for port in range(first + 1, first + count):
                held.enter_context(_bound(port))
            return first


def _bound(port: int) -> socket.socket:
    held = socket.socket()
    held.bind(("127.0.0.1", port))
    return held


def wait_for(condition, seconds: float = 30) -> None:
    """Returns as soon as the condition holds; an assertion fails where it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
