"""Mixed precision: products in bfloat16, everything that adds up in float32.

As in Micikevicius et al. 2018 (arXiv:1710.03740): parameters, their gradients and the optimiser are
float32; a layer takes its input and casts its matrix where it multiplies, so that matrix units read
half the bytes and what is kept for the way back is half as large. Between layers is bfloat16.
In float32 are, beside what the engine holds: biases, scales, offsets and positions, which cost
nothing and whose gradients are sums over examples; statistics of normalisations; the softmax of
attention and its sums; the state that a recurrent network carries through time; the logits'
loss. A product itself adds up in float32 on every backend and rounds its result once.

Their loss scaling is for float16, whose smallest normal number is 6e-5: gradients vanish. bfloat16
has float32's eight bits of exponent (Kalamkar et al. 2019, arXiv:1905.12322), so none is needed.
"""

import jax
import jax.numpy as jnp


def wide(x: jax.Array) -> jax.Array:
    """The array in the dtype for sums: float32 for bfloat16, otherwise as it is."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
