"""Runs scripts in forks of a process that has imported what they import: a server on its stdin.

A request is a line of JSON: argv (the script first), cwd, env (changes), seconds (after which
it is killed), out and err (files for what it prints). The answer is its exit code. A fork has no
backend yet, as every new process: what is spared is seconds of imports.
"""

import importlib
import json
import os
import runpy
import signal
import sys
from pathlib import Path

# What takes the seconds: every script of ours imports these before it looks at its flags' meaning.
for _name in ("jax", "orbax.checkpoint", "minima.sweep.run", "minima.sweep.train"):
    importlib.import_module(_name)


def serve() -> None:
    """Answers requests until standard input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            _become(request)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(request: dict) -> None:
    signal.alarm(request["seconds"])
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT, 0o600), stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = request["argv"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    code = 0
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve()
