"""Whether our curvature equals the peers' on the same weights and data.

λmax within the residual that we state and the peer's own convergence (1e-2 for PyHessian's twenty
power iterations, 1e-3 for Lanczos), traces within three standard errors of the difference.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from row import Row, Side
from runner import Runner

TOOLS = {"pyhessian": 2e-2, "curvlinops": 1e-3}
COUNT = 8  # networks


def main() -> int:
    """Prints a line for each peer; exit code 1 where one differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", default=".venv-peers/bin/python", help="the peers' Python")
    args = parser.parse_args()
    differs = False
    with Runner(sys.executable, args.peers) as runner, tempfile.TemporaryDirectory() as folder:
        script, peer = "sides/minima_curvature.py", "peers/torch_curvature.py"
        ours = {k: v[:COUNT] for k, v in numbers(runner, folder, script).items()}
        for tool, tolerance in TOOLS.items():
            theirs = numbers(runner, folder, peer, tool)
            relative = np.abs(theirs["tops"] / ours["tops"] - 1)
            error = np.hypot(theirs["errors"], ours["errors"])
            apart = np.abs(theirs["traces"] - ours["traces"]) / error
            agrees = relative.max() <= tolerance and np.mean(apart <= 3) >= 0.9
            differs |= not agrees
            print(
                f"{tool}: λmax differs by at most {relative.max():.1e} (allowed {tolerance:g}), "
                f"traces by {np.median(apart):.1f} standard errors in the median, "
                f"{apart.max():.1f} at most: {'agrees' if agrees else 'DIFFERS'}"
            )
    return int(differs)


def numbers(runner: Runner, folder: str, script: str, *tool: str) -> dict[str, np.ndarray]:
    """What a side found, by name."""
    out = str(Path(folder) / "out.npz")
    count = (str(COUNT),) if tool else ()
    command = (f"benchmarks/{script}", *tool, "large", "{data}", out, *count)
    side = Side("curvature", command, peer=bool(tool))
    runner.figure(Row("curvature", "", side, data="mlp"), side)
    return dict(np.load(out))


if __name__ == "__main__":
    sys.exit(main())
