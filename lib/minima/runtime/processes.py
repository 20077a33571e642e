"""Several processes that run one command together, as one group.

JAX's own runtime forms the group (bare `jax.distributed.initialize()`), under the launchers that it
detects by itself: srun, mpirun, GKE, TPU VMs. All processes run the same script. The first has the
run directory and the terminal; the others follow it, and take from it whatever depends on files, on
the clock or on chance (`from_first`).

Either the processes train in lockstep, over one mesh; or each trains cells of its own, and they
meet after every stage. Importing this costs nothing: no JAX.
"""

import contextlib
import itertools
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from minima.runtime import interrupts
from minima.runtime.errors import UserError
from minima.runtime.interrupts import STOPPED_AND_SAVED, StopRequest

T = TypeVar("T")

LOST = 70  # EX_SOFTWARE of sysexits.h; launchers start the command again, a few times

_HEARTBEAT_SECONDS = 30  # JAX's own 100 would be paid for by all machines of the group
_START_SECONDS = 600  # machines of one job may come up minutes apart
_LEAVE_SECONDS = 30.0  # for what an error ends; an orderly end waits for the others
_ASK_SECONDS = 5.0
_KEPT_KEYS = 1000
_FAILED = "minima/failed"


@dataclass(frozen=True)
class Group:
    """The processes that run this command.

    Attributes:
      index, count: which one this is, and of how many.
      lockstep: they train over one mesh; otherwise each on its own devices.
    """

    index: int = 0
    count: int = 1
    lockstep: bool = False

    @property
    def is_first(self) -> bool:
        """Whether this process has the run directory and the terminal."""
        return self.index == 0


_group = Group()
_meetings = itertools.count()
_looks = itertools.count()


def group() -> Group:
    """The group this process is in: of one, until it joins one."""
    return _group


def join(lockstep: bool) -> Group:
    """Forms the group, before anything touches JAX's devices; a second call changes nothing.

    Raises:
      UserError: nothing has started this process as one of several.
    """
    import jax

    global _group
    if jax.distributed.is_initialized():
        return _group
    # In lockstep JAX takes SIGTERM and finds a step to stop at that suits all. Otherwise each may
    # stop where it stands, and the handler is ours: there can be only one.
    jax.config.update("jax_enable_preemption_service", lockstep)
    try:
        jax.distributed.initialize(
            local_device_ids=visible_devices(os.environ),
            initialization_timeout=_START_SECONDS,
            heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=int(_LEAVE_SECONDS),
        )
    except ValueError as error:  # what JAX would have to be told, as it found no launcher
        raise UserError(
            f"--multihost: no launcher that JAX knows has started this process ({error}); it "
            "looked for srun, mpirun, GKE's and TPU VMs' workers and Kubernetes: start the same "
            "command on every host by one of them, or use --multihost=false"
        ) from error
    _group = Group(jax.process_index(), jax.process_count(), lockstep)
    if not _group.is_first:
        _drop_standard_output()
    return _group


def visible_devices(environment: Mapping[str, str]) -> list[int] | None:
    """Which of the GPUs it sees a process under Slurm takes; None leaves the choice to JAX.

    JAX gives the n-th process of a node the n-th GPU. That is wrong for the only process of a node,
    which takes all that it sees, and for one that Slurm shows a single GPU (--gpus-per-task).
    """
    seen = [name for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    tasks, nodes = environment.get("SLURM_STEP_NUM_TASKS"), environment.get("SLURM_STEP_NUM_NODES")
    if not seen or tasks is None or (tasks != nodes and len(seen) > 1):
        return None
    return list(range(len(seen)))


def from_first(make: Callable[[], T]) -> T:
    """What `make` gives in the first process, a JSON value, in all of them.

    All processes call it in the same order. Its UserError is raised everywhere.
    """
    if _group.count == 1:
        return make()
    number = next(_meetings)
    key = f"minima/first/{number}"
    if not _group.is_first:
        said = json.loads(_wait_for(key))
        if "error" in said:
            raise UserError(said["error"])
        return said["value"]
    try:
        said = json.dumps({"value": make()})
    except UserError as error:
        _client().key_value_set(key, json.dumps({"error": str(error)}))
        raise
    _client().key_value_set(key, said)
    if number >= _KEPT_KEYS:  # nobody is that far behind
        _client().key_value_delete(f"minima/first/{number - _KEPT_KEYS}")
    return json.loads(said)["value"]


def agreed(decide: Callable[[], T]) -> T:
    """What the first process decides where processes are in lockstep; else what this one does."""
    return from_first(decide) if _group.lockstep else decide()


def meet(word: str, stop: StopRequest) -> list[str]:
    """Waits for all other processes, however long they train; returns everybody's word.

    A process that is asked to stop while it waits passes that on.
    """
    if _group.count == 1:
        return [word]
    number = next(_meetings)
    _client().key_value_set(f"minima/meeting/{number}/{_group.index}", word)
    keys = [f"minima/meeting/{number}/{index}" for index in range(_group.count)]

    def meanwhile() -> None:
        _follow_failure()
        bool(stop)  # looks, and passes on what it sees

    return [_wait_for(key, meanwhile) for key in keys]


class GroupStop(StopRequest):
    """A request that reaches every process of the group."""

    def __bool__(self) -> bool:
        """Whether a stop was asked for; in lockstep, the same for all at the same look."""
        if _group.lockstep:
            from jax.experimental import multihost_utils

            # Every look counts as a step, since all processes look equally often.
            if not self._asked and multihost_utils.reached_preemption_sync_point(next(_looks)):
                self._asked = True
            return self._asked
        if self._asked:
            _client().key_value_set("minima/stop/asked", "", allow_overwrite=True)
        return self._asked or bool(_client().key_value_dir_get("minima/stop"))


_lockstep_stop = GroupStop()


@contextlib.contextmanager
def stop_request() -> Iterator[StopRequest]:
    """SIGTERM and SIGINT as a request, in a group to all of its processes.

    In lockstep SIGTERM is JAX's: a handler of ours would silently replace it.
    """
    if _group.lockstep:
        yield _lockstep_stop  # the same in every stage: JAX tells it once
        return
    with interrupts.stop_request(GroupStop() if _group.count > 1 else StopRequest()) as request:
        yield request


def together(main: Callable[[], int | None]) -> int | None:
    """Runs a command; where it joins a group, its end is that of the others.

    After an error the others have half a minute to come to the same end. If not, this process
    leaves alone, and JAX's runtime ends them.
    """
    try:
        code = main()
    except BaseException as error:
        if _group.count > 1:
            _leave_by(error)
        raise
    if _group.count > 1:
        _leave(code or 0)
    return code


def end_stuck(seconds: float) -> None:
    """Ends this process, and so the group: it has done nothing for so many seconds."""
    who = f"process {_group.index} of {_group.count}"
    _end_alone(
        LOST,
        f"error: {who} has not moved for {seconds:.0f} seconds and ends here; what was saved is "
        "safe: start the same command again",
    )


def _leave_by(error: BaseException) -> None:
    who = f"process {_group.index} of {_group.count}"
    if isinstance(error, SystemExit):
        _leave(error.code if isinstance(error.code, int) else 1)
    elif _is_loss(error):
        reason = str(error).splitlines()[0][:200]
        _end_alone(
            LOST,
            f"error: {who} has lost another one, whose own messages say why ({reason}); what was "
            "saved is safe: start the same command again",
        )
    else:
        _leave(1, f"{who}:\n{''.join(traceback.format_exception(error))}")


def _is_loss(error: BaseException) -> bool:
    words = ("Gloo", "NCCL", "UNAVAILABLE", "CoordinationService")
    return isinstance(error, ValueError | RuntimeError) and any(w in str(error) for w in words)


def _leave(code: int, last_words: str = "") -> None:
    """Returns once all processes are about to leave; after an error, only if they soon are."""
    limit = time.monotonic() + (_LEAVE_SECONDS if code else float("inf"))

    def check() -> None:
        if time.monotonic() > limit:
            _end_alone(code, last_words)

    if code not in (0, STOPPED_AND_SAVED):
        _client().key_value_set(f"{_FAILED}/{_group.index}", str(code))
    _client().key_value_set(f"minima/end/{_group.index}", "")
    for index in range(_group.count):
        _wait_for(f"minima/end/{index}", check)


def _end_alone(code: int, last_words: str) -> None:
    # Not by sys.exit: JAX would wait for the others, and end with a code of its own.
    if last_words:
        print(last_words, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _wait_for(key: str, meanwhile: Callable[[], object] | None = None) -> str:
    """The value of a key, once a process has set it; does something else from time to time."""
    import jax

    meanwhile = _follow_failure if meanwhile is None else meanwhile
    while True:
        try:
            return _client().blocking_key_value_get(key, int(1000 * _ASK_SECONDS))
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise
        meanwhile()


def _follow_failure() -> None:
    """Ends this process like one that has failed, if any has."""
    for key, code in _client().key_value_dir_get(_FAILED):
        failed = f"process {key.rpartition('/')[2]} of {_group.count}"
        print(f"error: {failed} ended with exit code {code}; see what it says", file=sys.stderr)
        raise SystemExit(int(code))


def _client() -> Any:
    # The public functions of jax.distributed don't reach the store that all processes share.
    from jax._src import distributed

    return distributed.global_state.client


def _drop_standard_output() -> None:
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # libraries write there, too
    os.close(nowhere)
