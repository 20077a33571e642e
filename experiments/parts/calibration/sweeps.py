"""Everything that is trained: a sweep for each program. Cheap: no NumPy, no JAX."""

from dataclasses import replace

from minima.sweep.budgets import Budget
from minima.sweep.config import GridConfig, SweepConfig
from parts.calibration.config import CalibrationConfig

MAIN, NARROW, FEW, PLANE = "networks", "narrow", "few_examples", "plane"


def sweeps(config: CalibrationConfig) -> dict[str, SweepConfig]:
    """All of them by name, the first one first: its run keeps what is found.

    A state is kept at every evaluation, so that calibration can be followed over training.
    """
    networks, plane, training = config.networks, config.plane, config.training
    dropout = (("dropout", (0.0, networks.dropout_rate)),)
    grid = GridConfig((networks.batch_size,), (networks.rate,), networks.seeds, dropout)
    fewer = replace(grid, seeds=networks.seeds[: networks.compared], axes=())
    found = {MAIN: SweepConfig(config.task, grid, training)}
    if networks.narrow:
        found[NARROW] = SweepConfig(replace(config.task, width=networks.narrow), fewer, training)
    if networks.few:
        found[FEW] = SweepConfig(replace(config.task, train_examples=networks.few), fewer, training)
    cells = GridConfig(plane.batch_sizes, plane.rates, (*plane.tuning_seeds, *plane.plane_seeds))
    budget = Budget(epochs=plane.plane_epochs)
    course = replace(training, budget=budget, evaluations=plane.plane_evaluations)
    found[PLANE] = SweepConfig(config.task, cells, course)
    return {name: _placed(config, each) for name, each in found.items()}


def _placed(config: CalibrationConfig, sweep: SweepConfig) -> SweepConfig:
    record = replace(config.record, snapshots=sweep.training.evaluations)
    return replace(sweep, engine=config.engine, record=record, processes=config.processes)
