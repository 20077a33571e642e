"""What a launcher runs: an experiment's command, given after `--`, and the flags that it adds."""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from minima.runtime.errors import UserError

# Where a shard works, which it is and how it starts are the launcher's business; and a command that
# only looks at itself ends with 0, which would count as done.
_OURS = {"workdir", "shard", "multihost", "plan_only"}
_LOOKS = {"only_check_args", "help", "helpshort", "helpfull", "helpxml", "?"}


@dataclass(frozen=True)
class Command:
    """An experiment's script and flags, word for word as the user gave them."""

    script: str
    flags: tuple[str, ...]

    @classmethod
    def of(cls, words: Sequence[str], moves: bool = False) -> "Command":
        """Reads `SCRIPT FLAG…`; one that `moves` runs in another copy of this repository.

        Raises:
          UserError: there is no such script, or a flag is one that the launcher sets.
        """
        if not words or not words[0].endswith(".py"):
            raise UserError(
                "no experiment to launch; end the command with its script and flags, such as "
                "-- experiments/sharp_vs_flat.py --preset=gpu"
            )
        if not Path(words[0]).is_file():
            raise UserError(f"{words[0]}: no such file")
        if moves and (Path(words[0]).is_absolute() or ".." in Path(words[0]).parts):
            raise UserError(
                f"{words[0]}: it runs in another copy of this repository, so start here at its "
                "root and name the script from there, such as experiments/sharp_vs_flat.py"
            )
        for word in words[1:]:
            name = word.lstrip("-").split("=")[0]
            if word.startswith("-") and name in _OURS | _LOOKS:
                raise UserError(f"{word}: leave it out; the launcher sets what it needs of its own")
            _check_text(word)
        return cls(words[0], tuple(words[1:]))

    def arguments(self, workdir: str, shard: str = "", multihost: bool = False) -> list[str]:
        """What follows `python`: ours come last, so that a --flagfile of the user's can't win."""
        ours = [f"--workdir={workdir}"]
        ours += [f"--shard={shard}"] if shard else []
        ours += ["--multihost"] if multihost else []
        return [self.script, *self.flags, *ours]

    def check(self, workdir: str, multihost: bool) -> None:
        """Lets the experiment look at its flags, here and now; trains nothing and needs no JAX.

        Raises:
          UserError: what the experiment says is wrong with them.
        """
        arguments = [*self.arguments(workdir, "0/1", multihost), "--only_check_args"]
        result = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
        if result.returncode:
            lines = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
            raise UserError(f"{self.script}: {lines[-1].removeprefix('error: ')}")


def run(program: str, doc: str, arguments: Sequence[str] | None, build: Callable) -> int:
    """A launcher's command line: `program COMMAND FLAGS [-- SCRIPT FLAGS]`; returns an exit code.

    `build(commands)` adds the sub-commands to an argparse action; each sets `call`, a function of
    the options. `options.experiment` holds the words after `--`. A mistake of the user's, and a
    program that is missing or refuses, is one line on standard error.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    split = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(prog=f"python launch/{program}", description=doc)
    build(parser.add_subparsers(required=True, metavar="COMMAND"))
    options = parser.parse_args(words[:split], argparse.Namespace(experiment=words[split + 1 :]))
    try:
        return options.call(options) or 0
    except UserError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return 2


def ask(*command: str, given: str | None = None) -> str:
    """Runs an engine's own program and returns what it prints.

    Raises:
      UserError: it is not on the PATH, or it refuses; with its own words.
    """
    try:
        result = subprocess.run(command, input=given, capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError(f"{command[0]}: not on the PATH of this machine") from None
    if result.returncode:
        said = result.stderr.strip() or result.stdout.strip() or f"exit code {result.returncode}"
        raise UserError(f"{command[0]}: {said}")
    return result.stdout


def line(command: Sequence[str]) -> str:
    """A command as it would be typed into a shell."""
    return shlex.join(command)


def positive(text: str) -> int:
    """Reads a positive whole number, for argparse."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def count(text: str) -> int:
    """Reads a whole number, for argparse."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def here(path: str) -> str:
    """An absolute path, for jobs that start elsewhere."""
    return str(Path(path).absolute())


def _check_text(word: str) -> None:
    try:
        word.encode()
    except UnicodeEncodeError:
        raise UserError(f"{word!a}: is not UTF-8, which manifests and job scripts are") from None
