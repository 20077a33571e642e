"""The experiment as a user starts it: a process of its own, in a directory of its own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "experiments" / "batch_size_vs_learning_rate.py"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all processes of the session: what one has compiled the others read."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def start(cache: Path) -> Callable[..., subprocess.Popen]:
    """Starts `python ARGUMENTS` with captured output; its caller waits for it."""

    def start(*arguments, cwd, cache=cache, before=()):
        environment = os.environ | {"XDG_CACHE_HOME": str(cache), "JAX_PLATFORMS": "cpu"}
        command = [*before, sys.executable, *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=environment, cwd=cwd, **pipes)

    return start


@pytest.fixture(scope="session")
def python(start) -> Callable[..., subprocess.CompletedProcess]:
    """Runs `python ARGUMENTS` to its end."""

    def python(*arguments, timeout=600, **how):
        with start(*arguments, **how) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return python


@pytest.fixture(scope="session")
def experiment(python) -> Callable[..., subprocess.CompletedProcess]:
    """Runs the experiment to its end."""
    return lambda *flags, **how: python(SCRIPT, *flags, **how)


@pytest.fixture(scope="session")
def forked(cache: Path) -> Iterator[Callable[..., subprocess.CompletedProcess]]:
    """As `python`, for scripts, in forks of one process: for many short runs, as of wrong flags."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(ROOT / "tests" / "experiments" / "forked.py")]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, env=environment, **pipes) as server,
    ):

        def run(script, *flags, cwd, cache=cache, timeout=60):
            argv = [str(script), *map(str, flags)]
            files = {name: f"{folder}/{name}" for name in ("out", "err")}
            request = {"argv": argv, "cwd": str(cwd), "seconds": timeout, **files}
            request["env"] = {"XDG_CACHE_HOME": str(cache)}
            server.stdin.write(json.dumps(request) + "\n")
            server.stdin.flush()
            code = int(server.stdout.readline())
            out, err = (Path(path).read_text() for path in files.values())
            for path in files.values():
                os.remove(path)
            return subprocess.CompletedProcess(argv, code, out, err)

        yield run
        server.stdin.close()


@pytest.fixture(scope="session")
def start_experiment(start) -> Callable[..., subprocess.Popen]:
    """Starts the experiment."""
    return lambda *flags, **how: start(SCRIPT, *flags, **how)


@pytest.fixture(scope="session")
def script() -> Path:
    """The experiment's file."""
    return SCRIPT


@pytest.fixture(scope="session")
def run_path() -> Callable[..., Path]:
    """The run that an experiment's last line names."""

    def run_path(out: str, cwd: Path) -> Path:
        word, path = out.splitlines()[-1].split(" ", 1)
        assert word == "run:"
        return cwd / path

    return run_path


@pytest.fixture(scope="session")
def visible() -> Callable[[str], bool]:
    """Whether a text has no control characters but the ends of its lines."""
    return lambda text: all(letter.isprintable() or letter == "\n" for letter in text)


@pytest.fixture(scope="session")
def one_line() -> Callable[[str], str]:
    """What is on standard error, which must be one line."""

    def one_line(error: str) -> str:
        assert error.startswith("error: ")
        assert error.endswith("\n")
        assert error.count("\n") == 1
        return error

    return one_line
