"""Where a run came from: code, versions, platform, environment."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = {
    "minima": "minima",
    "jax": "jax",
    "jaxlib": "jaxlib",
    "flax": "flax",
    "optax": "optax",
    "orbax": "orbax-checkpoint",
    "numpy": "numpy",
}


def provenance() -> dict[str, Any]:
    """What a reader needs to run this again: argv, git, versions, platform, XLA and JAX settings.

    Never fails: what cannot be found out is None.
    """
    return {
        "argv": list(sys.argv),
        "git": git_state(Path(__file__).parent),
        "versions": versions(),
        "platform": platform.platform(),
        "environment": {
            name: value
            for name, value in sorted(os.environ.items())
            if name == "XLA_FLAGS" or name.startswith("JAX_")
        },
    }


def versions() -> dict[str, str | None]:
    """Installed versions, read from package metadata: nothing heavy is imported for it."""
    return {name: _version(package) for name, package in _PACKAGES.items()} | {
        "python": platform.python_version()
    }


def git_state(directory: Path) -> dict[str, Any]:
    """`commit` (40 hex digits) and `dirty` (tracked files differ) of the code in `directory`.

    Both are None outside git, where git is missing, or where it does not answer in ten seconds. An
    installed copy is not asked about: the repository around a virtual environment is not its own.
    """
    unknown = {"commit": None, "dirty": None}
    if "site-packages" in directory.parts:
        return unknown
    try:
        commit = _git(directory, "rev-parse", "HEAD")
        changes = _git(directory, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return unknown
    return {"commit": commit, "dirty": bool(changes)}


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(directory: Path, *arguments: str) -> str:
    result = subprocess.run(
        ["git", "-C", str(directory), *arguments],
        capture_output=True,
        check=True,
        text=True,
        timeout=10,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # looking must not take the index lock
    )
    return result.stdout.strip()
