"""The loss of one training pass as a function of the parameters: what costs are counted of."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from minima.tasks import objectives
from minima.tasks.models import Model, Params, State, Training

TrainingLoss = Callable[[Params, State, jax.Array, jax.Array], jax.Array]


def training_loss(model: Model, loss: str = "cross_entropy") -> TrainingLoss:
    """The mean loss over a batch, norms in training mode, nothing drawn.

    Returns:
      A function of (params, state, inputs, labels): inputs (n, ...) as `Task.prepare` makes them,
      labels (n,) or (n, length), integer. A scalar of the parameters' dtype.
    """

    def mean(params: Params, state: State, inputs: jax.Array, labels: jax.Array) -> jax.Array:
        weights = jnp.ones(inputs.shape[0], model.dtype)
        logits, _ = model.apply(params, state, inputs, Training(weights))
        sums = objectives.classification(logits, labels, weights, loss=loss)
        return sums.loss / sums.weight

    return mean


def blank_arguments(model: Model, batch: int) -> tuple[Any, Any, Any, Any]:
    """Shapes and dtypes of what `training_loss` takes, for counting and compiling."""
    params, state = jax.eval_shape(model.init, jax.random.key(0))
    settings = model.settings
    dtype = jnp.int32 if settings.kind == "tokens" else settings.dtype
    inputs = jax.ShapeDtypeStruct((batch, *settings.input_shape), dtype)
    where = settings.input_shape if settings.per_position else ()
    return params, state, inputs, jax.ShapeDtypeStruct((batch, *where), jnp.int32)
