"""The accelerator's fastest bfloat16 and float32 matrix products. Prints one JSON line."""

import json
import time

import jax
import jax.numpy as jnp

SIZE, INNER, REPEATS = 8192, 16, 5


def rate(dtype: jnp.dtype) -> float:
    """Floating-point operations per second of a chain of products; the best of a few runs."""
    size = SIZE if jax.default_backend() != "cpu" else 512
    a = jax.random.normal(jax.random.key(0), (size, size), dtype) / size**0.5

    @jax.jit
    def chain(x: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, INNER, lambda _, y: y @ a, x)

    chain(a).block_until_ready()
    best = float("inf")
    for _ in range(REPEATS):
        begin = time.perf_counter()
        chain(a).block_until_ready()
        best = min(best, time.perf_counter() - begin)
    return INNER * 2 * size**3 / best


if __name__ == "__main__":
    device = jax.devices()[0]
    rates = {"bfloat16": rate(jnp.bfloat16), "float32": rate(jnp.float32)}
    print(json.dumps({"seconds": 1 / max(rates.values()), "device": device.device_kind, **rates}))
