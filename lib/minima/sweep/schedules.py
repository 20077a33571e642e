"""What changes as a cell goes on: batch size and learning rate, as functions of the update.

Everything but the shape of the final decay is traced. Up to that decay a schedule knows no horizon:
what a cell does at an update does not depend on its budget, so a longer run begins with the shorter
one, and a decay to any horizon can be forked off (a branch).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from minima.sweep.optimizers import Features, Hyper


class Schedule(NamedTuple):
    """A cell's course on the device (see `timeline.Timeline`).

    Attributes:
      hyper: hyperparameters by phase, leaves of shape (phases,).
      starts: (phases,) int32, the update at which each phase starts; starts[0] = 0.
      evaluations: (evaluations,) int32, rising; updates after which the lane evaluates. Filled up
        with a number that no lane reaches.
      decay_start, decay_end: int32, updates between which the rate decays to zero.
      average_start: int32, up to that many updates the average is the weights themselves, then
        one of all later ones; -1 for one that goes on from where a trunk left it.
      steps: int32, updates after which the budget is used up.
    """

    hyper: Hyper
    starts: Any
    evaluations: Any
    decay_start: Any
    decay_end: Any
    average_start: Any
    steps: Any


def batch_size_at(schedule: Schedule, step: jax.Array) -> jax.Array:
    """Examples in the batch of update `step` (from 0), int32 scalar."""
    return schedule.hyper.batch_size[_phase(schedule, step)]


def hyper_at(schedule: Schedule, step: jax.Array, features: Features) -> Hyper:
    """The hyperparameters of update `step` (from 0), all scalars, schedules multiplied out.

    Warm-up multiplies the rate by min(1, (step + 1) · batch / warm-up examples): counted in
    examples, cells of all batch sizes warm up over the same data (Goyal et al. 2017 for the ramp).
    The decay multiplies it, k updates into a decay of n, by 1 - k/n (linear), (1 + cos πk/n) / 2
    (cosine; Loshchilov & Hutter 2017) or 1 - √(k/n) (sqrt; Hägele et al. 2024).
    """
    phase = _phase(schedule, step)
    hyper = jax.tree.map(lambda by_phase: by_phase[phase], schedule.hyper)
    rate = hyper.learning_rate
    if features.warmup:
        seen = examples_seen(hyper, step + 1)
        rate = rate * jnp.minimum(seen / jnp.maximum(hyper.warmup_examples, 1), 1)
    if features.decay != "none":
        length = (schedule.decay_end - schedule.decay_start).astype(rate.dtype)
        into = (step - schedule.decay_start).astype(rate.dtype)
        rate = rate * _decay(features.decay, jnp.clip(into / jnp.maximum(length, 1), 0, 1))
    return hyper._replace(learning_rate=rate)


def examples_seen(hyper: Hyper, updates: jax.Array) -> jax.Array:
    """Examples in so many updates of this batch size, in the dtype of the rate."""
    dtype = hyper.learning_rate.dtype
    return updates.astype(dtype) * hyper.batch_size.astype(dtype)


def _phase(schedule: Schedule, step: jax.Array) -> Any:
    if len(schedule.starts) == 1:
        return 0
    return jnp.sum(step >= schedule.starts, dtype=jnp.int32) - 1


def _decay(name: str, share: jax.Array) -> jax.Array:
    if name == "linear":
        return 1 - share
    if name == "cosine":
        return (1 + jnp.cos(jnp.pi * share)) / 2
    return 1 - jnp.sqrt(share)
