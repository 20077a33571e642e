"""λmax (20 products) and trace (20 probes) of 32 minima in one program: SIZE DATA.npz OUT.npz

Prints one JSON line; `seconds` counts the compilation too. OUT holds the numbers of each.
"""

import json
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from minima.landscape import estimators, operators
from minima.landscape.objective import Objective, chunks, cross_entropy
from minima.runtime import devices
from minima.sweep.program import AXIS

sys.path.insert(0, str(Path(__file__).parents[1]))
from checkpoints import checkpoints, examples

PRODUCTS = 20


def apply(params: dict, x: jax.Array) -> jax.Array:
    """A multi-layer perceptron with one hidden layer of ReLUs."""
    hidden = jax.nn.relu(x.reshape(len(x), -1) @ params["w1"] + params["b1"][None])
    return hidden @ params["w2"] + params["b2"][None]


def main(size: str, data: str, out: str) -> None:
    """Measures and prints."""
    inputs, labels = examples(data, size)
    devices.configure("float32")
    mesh = devices.make_mesh(AXIS, len(jax.devices()))
    batch = chunks(inputs, labels, len(labels))
    found = [jax.tree.map(jnp.asarray, params) for params in checkpoints(size)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)
    objective = Objective(apply, cross_entropy)

    def one(params: dict) -> tuple[jax.Array, ...]:
        hessian = operators.hessian(objective, params, batch)
        keys = jax.random.split(jax.random.key(0))
        top = estimators.largest_eigenvalues(hessian, keys[0], PRODUCTS)
        trace = estimators.trace(hessian, keys[1], PRODUCTS)
        return top.value[0], top.residual[0], trace.value, trace.standard_error

    split = jax.P(AXIS)
    stacked = jax.device_put(stacked, jax.NamedSharding(mesh, split))
    each = jax.shard_map(
        lambda stacked: jax.lax.map(one, stacked),
        mesh=mesh,
        in_specs=split,
        out_specs=split,
        check_vma=False,
    )
    begin = time.perf_counter()
    compiled = jax.jit(each).lower(stacked).compile()
    ready = time.perf_counter()
    tops, residuals, traces, errors = map(np.asarray, compiled(stacked))
    end = time.perf_counter()
    np.savez(out, tops=tops, residuals=residuals, traces=traces, errors=errors)
    print(
        json.dumps({"seconds": end - begin, "compile_seconds": ready - begin, "minima": len(tops)})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
