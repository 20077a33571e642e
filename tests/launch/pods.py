"""What a kubelet does with a pod, as far as its command and environment go."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def expand(text: str, variables: Mapping[str, str]) -> str:
    """What a kubelet makes of a word of `command` or `args`.

    As Kubernetes' third_party/forked/golang/expansion does it: $(NAME) is replaced where NAME is
    known, $$ is $, and all else stays.
    """
    found, at = [], 0
    while at < len(text):
        two, close = text[at : at + 2], text.find(")", at)
        if two == "$$":
            found, at = [*found, "$"], at + 2
        elif two == "$(" and close > 0:
            name = text[at + 2 : close]
            found, at = [*found, variables.get(name, f"$({name})")], close + 1
        else:
            length = 2 if two[0] == "$" else 1
            found, at = [*found, two[:length]], at + length
    return "".join(found)


def start(pod: dict[str, Any], folder: Path, directory: Path, **variables: str) -> int:
    """Runs a pod's container in a directory of this machine; returns its exit code."""
    [container] = pod["spec"]["containers"]
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    if not (programs / "python").exists():
        # Not a link: Python would look for its environment beside it.
        (programs / "python").write_text(f'#!/bin/bash\nexec {sys.executable} "$@"\n')
        (programs / "python").chmod(0o755)
    path = {"PATH": f"{programs}:{os.environ['PATH']}"}
    words = [expand(word, variables) for word in container["command"] + container["args"]]
    environment = os.environ | path | variables
    return subprocess.run(words, cwd=directory, env=environment).returncode
