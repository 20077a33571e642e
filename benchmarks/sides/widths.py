"""Training rate against lanes under one vmap, until memory ends: widths.py MODEL [--widths=1,4]

Prints one JSON line: examples per second by width, and where it stopped.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import jax

from minima.runtime import devices
from minima.sweep import prepare, probe
from minima.sweep.program import AXIS
from minima.tasks.task import to_arrays

sys.path.insert(0, str(Path(__file__).parents[1]))
from sides.minima_plane import configure
from workloads import WORKLOADS

WIDTHS = tuple(4**k for k in range(9))


def main() -> None:
    """Measures widths 1, 4, 16, … on one device."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=sorted(WORKLOADS))
    parser.add_argument("--compute_dtype", default="default")
    parser.add_argument("--widths", default="", help="separated by commas")
    args = parser.parse_args()
    config = configure(WORKLOADS[args.model], "runs", 1)
    training = replace(config.training, compute_dtype=args.compute_dtype)
    plan = prepare(replace(config, training=training), "benchmark").plan
    mesh = devices.make_mesh(AXIS, 1)
    host = to_arrays(plan.dataset, plan.recipe.task.model.dtype)
    arrays = jax.device_put(host, jax.NamedSharding(mesh, jax.P()))
    rates, ended = {}, "the widest measured"
    asked = [int(width) for width in args.widths.split(",") if width]
    for width in asked or (WIDTHS if jax.default_backend() != "cpu" else WIDTHS[:3]):
        try:
            rates |= dict(probe.measure(plan.recipe, arrays, (width,), mesh))
        except jax.errors.JaxRuntimeError as error:
            ended = f"width {width}: {str(error).splitlines()[0][:120]}"
            break
    best = max(rates.values())
    print(json.dumps({"seconds": 1 / best, "rates": rates, "ended": ended}))


if __name__ == "__main__":
    main()
