"""The scripts that Slurm runs: one for the shards of an array, one that gathers them."""

import shlex
import sys
from pathlib import Path

from submission import Submission

# A shard that saved itself before it had a minute is not pausing, it is failing: a full disk, say.
SHORTEST_PAUSE = 60
GATHER = Path(__file__).with_name("gather.py")

_HEAD = """\
#!/bin/bash
# Written by launch/slurm.py: {what}.
# Exit codes: 0 done, 2 a mistake in the command, 75 saved and to go on, else: try again.
trap : TERM  # the experiment saves what it has; this script lives on to read its exit code
[ -z "$SLURM_CPUS_PER_TASK" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
"""

# 75 is a pause and costs nothing. All else costs a line in the file of failures, whose length is
# the limit: Slurm's own count of restarts has preemptions in it. What can't be counted isn't tried
# again.
_TAIL = """\
code=$?
again() {{ scontrol requeue "$SLURM_JOB_ID" && sleep 600; exit $code; }}
case $code in
  0 | 2) exit $code ;;
  75) [ "$SECONDS" -lt {shortest} ] || again ;;
esac
failures={folder}/failures-{name}.txt
echo "$(date +%FT%T) exit code $code after $SECONDS s on $SLURM_JOB_NODELIST" >>"$failures" || exit
[ "$(wc -l <"$failures")" -gt {restarts} ] || again
exit $code
"""

# Around each process of a group: srun ends the group with the first that fails, and 75 is a failure
# to it, so who has saved itself waits for those that still do.
_PATIENT = 'trap : TERM; "$@"; code=$?; [ "$code" != 75 ] || sleep 10; exit "$code"'


def folder(out: Path) -> Path:
    """Where scripts, logs and counts of failures are."""
    return out / "launch"


def workdir(out: Path) -> Path:
    """Where the runs are: the experiment's --workdir."""
    return out / "runs"


def shard_script(out: Path, submission: Submission) -> str:
    """What each task of the array runs, its index being the shard."""
    step = f'{_step(out, submission)} --shard="$SLURM_ARRAY_TASK_ID/{submission.shards}"'
    head = _HEAD.format(what=f"a shard of {submission.shards}, by the index in its array")
    return head + step + "\n" + _tail(out, submission, "$SLURM_ARRAY_TASK_ID")


def gather_script(out: Path, submission: Submission) -> str:
    """What the gather job runs: the merge, and then what needs all shards."""
    merge = shlex.join([sys.executable, str(GATHER), str(workdir(out))])
    head = _HEAD.format(what="puts the shards together, judges and draws")
    return f"{head}{merge} || exit\n{_step(out, submission)}\n" + _tail(out, submission, "gather")


def _step(out: Path, submission: Submission) -> str:
    """Starts the experiment, in all the processes of a group."""
    group = submission.processes > 1
    # Without this option, the others of a group wait until JAX's heartbeat misses the dead.
    words = ["srun", "--mpi=none", "--kill-on-bad-exit=1"]
    words += ["bash", "-c", _PATIENT, "bash"] if group else []
    arguments = submission.command.arguments(str(workdir(out)), multihost=group)
    return shlex.join([*words, sys.executable, *arguments])


def _tail(out: Path, submission: Submission, name: str) -> str:
    return _TAIL.format(
        shortest=SHORTEST_PAUSE,
        folder=shlex.quote(str(folder(out))),
        name=name,
        restarts=submission.settings["max_restarts"],
    )
