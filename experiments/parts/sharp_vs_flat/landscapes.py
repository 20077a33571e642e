"""Looks around single minima of sharp_vs_flat: slices, surfaces, paths, spectra, an attacker."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from minima.landscape import estimators, forms, operators
from minima.landscape.estimators import Ritz
from minima.landscape.forms import GaugeReport
from minima.landscape.objective import Chunks, Objective, Params, chunks, task_loss
from minima.landscape.surfaces import (
    Slice,
    StraightPath,
    Surface,
    random_direction,
    slice_along,
    straight_path,
    surface,
)
from minima.sweep.branch import from_arrays
from minima.sweep.lane import Snapshot, minimum_of
from minima.sweep.program import blank_initial
from minima.tasks.task import to_arrays
from parts.sharp_vs_flat.arms import Arm, Minima
from parts.sharp_vs_flat.config import SharpConfig
from parts.sharp_vs_flat.panels import COUNTERPARTS, rescalings_of

_REACH = 1.0  # of slices and surfaces, in units of the weights
_DENSITY_PROBES, _DENSITY_STEPS = 4, 60
_ATTACKED_EXAMPLES = 500  # ten gauges of either minimum and ten measures are many


@dataclass(frozen=True)
class Landscapes:
    """What is around the minima of one seed, by arm.

    Attributes:
      slices, surfaces, paths, spectra: by arm, or by pair of arms.
      attack: on the order of the large and the small batch.
    """

    slices: Mapping[str, Slice]
    surfaces: Mapping[str, Surface]
    paths: Mapping[str, StraightPath]
    spectra: Mapping[str, Ritz]
    attack: GaugeReport


def look(config: SharpConfig, main: Mapping[str, Minima]) -> Landscapes | None:
    """Around the first reporting seed at which no arm failed; None where there is none."""
    place = _sound_place(main)
    if place is None:
        return None
    small = main["small"].arm
    objective, data = objective_of(small, place, config.controls.measured_examples)
    params = {name: params_of(minima.arm, place) for name, minima in main.items()}
    ends = ("small", "large", "tuned")
    size = config.controls.surface_points
    names = {name: minima.name for name, minima in main.items()}
    at = jnp.linspace(-_REACH, _REACH, 2 * size + 1)
    grid = jnp.linspace(-_REACH, _REACH, size)
    keys = jax.random.split(jax.random.key(0))

    @jax.jit
    def slice_of(params: Params) -> Slice:
        direction = random_direction(params, keys[0])
        return slice_along(objective, params, direction, at, data)

    @jax.jit
    def surface_of(params: Params) -> Surface:
        both = (
            random_direction(params, keys[0]),
            random_direction(params, keys[1]),
        )
        return surface(objective, params, both, (grid, grid), data)

    @jax.jit
    def path_of(start: Params, end: Params) -> StraightPath:
        return straight_path(objective, start, end, data)

    @jax.jit
    def spectrum_of(params: Params) -> Ritz:
        hessian = operators.hessian(objective, params, data)
        return estimators.density(hessian, keys[0], _DENSITY_PROBES, _DENSITY_STEPS)

    with jax.default_matmul_precision("highest"):
        found = Landscapes(
            {names[n]: slice_of(p) for n, p in params.items()},
            {names[n]: surface_of(params[n]) for n in ends},
            {
                f"{names['small']} to {names[n]}": path_of(params["small"], params[n])
                for n in ends[1:]
            },
            {names[n]: spectrum_of(params[n]) for n in ends},
            _attack(small, place, params, config.controls.measured_examples),
        )
    return jax.block_until_ready(found)


def _attack(arm: Arm, place: int, params: Mapping[str, Params], examples: int) -> GaugeReport:
    """Can rescaling turn the order of large and small around?"""
    fewer = min(examples or _ATTACKED_EXAMPLES, _ATTACKED_EXAMPLES)
    objective, data = objective_of(arm, place, fewer)
    rescalings = rescalings_of(arm.reading.plan.recipe.task.model, params["small"])
    names = [name for pair in COUNTERPARTS.items() for name in pair]
    measures = {name: forms.MEASURES[name] for name in names}
    return forms.gauge_report(
        objective, params["large"], params["small"], data, rescalings, measures=measures
    )


def _sound_place(main: Mapping[str, Minima]) -> int | None:
    points = [minima.arm.points() for minima in main.values()]
    for place, row in enumerate(zip(*points, strict=True)):
        if None not in row:
            return place
    return None


def params_of(arm: Arm, place: int) -> Params:
    """The minimum of an arm at one place of its reporting seeds."""
    return minimum_of(_snapshot(arm, place))[0]


def _snapshot(arm: Arm, place: int) -> Snapshot:
    point = arm.points()[place]
    assert point is not None
    reading = arm.reading
    return from_arrays(reading.snapshots.read(*point), blank_initial(reading.plan.recipe))


def objective_of(arm: Arm, place: int, examples: int) -> tuple[Objective, Chunks]:
    """The arm's network and training loss; running statistics, if any, are its own."""
    plan = arm.reading.plan
    dtype = plan.recipe.task.model.dtype
    task, arrays = plan.recipe.task.computed_in(dtype), to_arrays(plan.dataset, dtype)
    state = minimum_of(_snapshot(arm, place))[1]
    count = examples or len(plan.dataset.train)
    inputs = task.prepare(arrays, jnp.asarray(arrays.train[0][:count]))
    data = chunks(np.asarray(inputs), arrays.train[1][:count], count)
    return Objective(lambda p, x: task.model.apply(p, state, x)[0], task_loss(task)), data
