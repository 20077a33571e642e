"""How far back a network carries a gradient in time, and how fast it would carry a disturbance on.

A loss at the last step reaches what a recurrent network held t steps before through the product of
t Jacobians. If their product grows or shrinks like exp(λ t), so do gradients, on the way back, and
disturbances, on the way on (Bengio et al. 1994; Pascanu et al. 2013, arXiv:1211.5063). The two are
computed apart from each other: cotangents from the loss, and tangents from anywhere.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from minima.tasks.models import Params
from minima.tasks.models.recurrent import Recurrent
from minima.tasks.models.transformer import Transformer
from minima.tasks.task import Arrays, Task


class Carried(NamedTuple):
    """Of n examples at every step.

    Attributes:
      gradients: (time, n) norms of the gradient of an example's loss by all that the network holds
        after the step; of a transformer, by the vector that it reads at the step.
      growth: (time, n), the logarithm of the step's gain: by how much it stretches a tangent that
        began anywhere and has been carried on since the first step. None for a transformer.
    """

    gradients: jax.Array
    growth: jax.Array | None


def carried(
    task: Task, params: Params, arrays: Arrays, inputs: jax.Array, labels: jax.Array, key: jax.Array
) -> Carried:
    """Traced: gradients and gains along time, of a network that reads its last step.

    Args:
      task: with one recurrent layer or a transformer, and a label for each example.
      params: of its model.
      arrays: what normalises inputs.
      inputs: (n, ...), raw.
      labels: (n,).
      key: of the tangents.

    Raises:
      ValueError: it is another network.
    """
    module = task.model.module(params, {})
    if task.model.settings.per_position:
        raise ValueError("labels at every position; give a task with one for each example")
    if isinstance(module, Transformer):
        vectors = module.encoder(task.prepare(arrays, inputs))
        slope = jax.grad(lambda x: jnp.sum(task.mean_losses(module.read(x), labels)))(vectors)
        return Carried(jnp.linalg.norm(slope, axis=2).T, None)
    if not isinstance(module, Recurrent) or module.encoder is None or len(module.layers) > 1:
        raise ValueError(f"{task.model.name} is no network with one recurrent layer")
    layer = module.layers[0][0]
    vectors = module.encoder(task.prepare(arrays, inputs))
    given, inside = layer.driven(jnp.moveaxis(vectors, 1, 0))

    def move(carry: Any, read: Any) -> Any:
        return layer.moved(carry, read[0], read[1])

    def loss(nudges: tuple[jax.Array, ...]) -> jax.Array:
        def nudged(carry: Any, read: Any) -> tuple[Any, None]:
            now = move(carry, read)
            return jax.tree.map(jnp.add, now, read[2]), None

        last, _ = jax.lax.scan(nudged, rest, (given, inside, nudges))
        return jnp.sum(task.mean_losses(module.readout(last[0]), labels))

    def stretch(at: tuple[Any, Any], read: Any) -> tuple[tuple[Any, Any], jax.Array]:
        now, moved = jax.jvp(lambda carry: move(carry, read), at[:1], at[1:])
        size = _norm(moved)
        scale = jnp.where(size > 0, size, 1)[:, None]
        return (now, jax.tree.map(lambda m: m / scale, moved)), jnp.log(size)

    time, n, hidden = len(given), given.shape[1], layer.hidden
    held = layer.carried
    rest = (jnp.zeros((n, hidden), given.dtype),) * held
    gradients = _norm(jax.grad(loss)(tuple(jnp.zeros((time, *rest[0].shape)) for _ in rest)))
    drawn = tuple(jax.random.normal(key, (held, n, hidden), given.dtype))
    start = jax.tree.map(lambda part: part / _norm(drawn)[:, None], drawn)
    _, growth = jax.lax.scan(stretch, (rest, start), (given, inside))
    return Carried(gradients, growth)


def rates(found: Carried) -> tuple[float, float]:
    """Per step, in nats: the slope of the log gradient against the lag, and the mean gain.

    Both of the middle three fifths of the steps, as means over examples: before, tangents have
    not yet turned to where they are stretched most, and after, cotangents have not.

    Returns:
      (slope of the mean log norm against lag, mean log gain; NaN for a transformer). A gradient
      that vanishes altogether gives -inf or NaN.
    """
    time = len(found.gradients)
    middle = np.arange(time // 5, time - time // 5)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.asarray(found.gradients, np.float64))[middle].mean(axis=1)
        slope = -float(np.polyfit(middle, logs, 1)[0]) if np.isfinite(logs).all() else np.nan
    if found.growth is None:
        return slope, np.nan
    return slope, float(np.asarray(found.growth, np.float64)[middle].mean())


def _norm(parts: tuple[jax.Array, ...]) -> jax.Array:
    """Over the last axis of all parts together."""
    return jnp.sqrt(sum(jnp.sum(jnp.square(part), axis=-1) for part in parts))
