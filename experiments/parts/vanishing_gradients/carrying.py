"""How far back each network carries gradients: fresh, and at the minima that were kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from minima.claims.evidence import Floats
from minima.landscape.propagation import Carried, carried, rates
from minima.record.snapshots import Snapshots
from minima.sweep.branch import from_arrays
from minima.sweep.lane import minimum_of
from minima.sweep.plan import Plan
from minima.sweep.program import blank_initial
from minima.sweep.run import Prepared
from minima.sweep.stream import Purpose, purpose_key
from minima.tasks.task import to_arrays
from parts.vanishing_gradients.config import ADDING, VanishingConfig
from parts.vanishing_gradients.memories import Memory


@dataclass(frozen=True)
class Reach:
    """One network on the longest adding problem, fresh or trained.

    Attributes:
      model: which.
      trained: at the minima of reporting seeds, or as they start.
      profile: (networks, steps) mean over examples of the log gradient norm, by lag from the end.
      slopes: (networks,) of the profile against the lag, in nats a step.
      gains: (networks,) mean log gain of a step's Jacobian; NaN for a transformer.
    """

    model: str
    trained: bool
    profile: Floats
    slopes: Floats
    gains: Floats

    @property
    def off(self) -> Floats:
        """(networks,) by how many % the slope is off the mean log gain."""
        return 100 * (self.slopes / self.gains - 1)

    @property
    def factor_off(self) -> Floats:
        """(networks,) by how many % the factor of a step is off that of the Jacobians."""
        return 100 * np.expm1(self.slopes - self.gains)


def reaches(
    prepared: Mapping[str, Prepared], found: Sequence[Memory], config: VanishingConfig
) -> list[Reach]:
    """Of every network on the longest adding problem."""
    longest = max(config.memory.lengths)
    chosen = [each for each in found if (each.task, each.length) == (ADDING, longest)]
    return [
        reach
        for memory in chosen
        for reach in _reaches(prepared[f"{ADDING}/{memory.model}/{longest}"], memory, config)
    ]


def _reaches(prepared: Prepared, memory: Memory, config: VanishingConfig) -> Iterator[Reach]:
    """In float64: over hundreds of steps gradients fall below what float32 holds."""
    plan, asked = prepared.plan, config.memory
    with jax.enable_x64(True):
        task = plan.recipe.task.computed_in("float64")
        arrays = to_arrays(plan.dataset, "float64")
        inputs, labels = (part[: asked.followed] for part in arrays.test)
        follow = jax.jit(
            lambda params: carried(task, params, arrays, inputs, labels, jax.random.key(0))
        )
        starts = [
            plan.recipe.task.model.init(purpose_key(np.int32(seed), Purpose.INITIALISATION))[0]
            for seed in range(asked.initial_seeds)
        ]
        for trained, several in ((False, starts), (True, list(_minima(prepared, memory, config)))):
            seen = [jax.device_get(follow(_wide(params))) for params in several]
            if seen:
                yield _reach(memory.model, trained, seen)


def _reach(model: str, trained: bool, seen: Sequence[Carried]) -> Reach:
    with np.errstate(divide="ignore"):
        logs = [np.log(each.gradients).mean(axis=1)[::-1] for each in seen]
    slopes, gains = zip(*map(rates, seen), strict=True)
    return Reach(model, trained, np.array(logs), np.array(slopes), np.array(gains))


def _minima(prepared: Prepared, memory: Memory, config: VanishingConfig) -> Iterator[Any]:
    """Parameters of the reporting seeds' last states at the chosen rate, but of diverged runs."""
    plan, kept = prepared.plan, Snapshots(prepared.whole)
    like = blank_initial(plan.recipe)
    for seed, loss in zip(config.memory.seeds, memory.losses, strict=True):
        if np.isfinite(loss):
            cell = _cell(plan, memory.rate, seed)
            yield minimum_of(from_arrays(kept.read(cell, kept.steps(cell)[-1]), like))[0]


def _cell(plan: Plan, rate: float, seed: int) -> int:
    [size] = plan.config.grid.batch_sizes
    return plan.grid.index({"batch_size": size, "learning_rate": rate, "seed": seed})


def _wide(params: Any) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
