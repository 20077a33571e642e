"""A tiny real task, and a way to run its cells through a program and look into the lanes."""

import dataclasses

import jax
import numpy as np
import pytest

from minima.runtime import devices
from minima.sweep.budgets import Status, parse_budget
from minima.sweep.config import (
    BranchConfig,
    EngineConfig,
    GridConfig,
    RecordConfig,
    SweepConfig,
    TaskConfig,
    TrainingConfig,
)
from minima.sweep.plan import Plan, fit_task, make_plan
from minima.sweep.program import AXIS, compile_program, empty_lanes
from minima.sweep.train import train
from minima.tasks.datasets.dataset import Split, assemble
from minima.tasks.task import to_arrays


def blobs(n: int, seed: int) -> Split:
    """Noisy 14×14 pictures of five classes: a bright square whose place tells the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 5
    pictures = rng.integers(0, 120, (n, 14, 14))
    for i, label in enumerate(labels):
        pictures[i, 2 * label : 2 * label + 4, 3:7] += 90
    return Split(pictures.astype(np.uint8), labels.astype(np.int32))


@pytest.fixture(scope="session")
def dataset():
    """97 training examples (a prime), 24 for validation, 60 for test."""
    return assemble(
        "blobs",
        blobs(121, 0),
        blobs(60, 1),
        num_classes=5,
        kind="image",
        validation_fraction=24 / 121,
        licence="none",
        source="made here",
    )


@pytest.fixture(scope="session")
def sequences():
    """Token sequences for a language model: 97 windows of 12 over 7 symbols, each from its last."""
    rng = np.random.default_rng(2)

    def split(n):
        steps = rng.choice([1, 2, 4], (n, 13), p=[0.7, 0.2, 0.1])
        tokens = np.cumsum(steps, axis=1) % 7
        return Split(tokens[:, :-1].astype(np.uint8), tokens[:, 1:].astype(np.int32))

    return assemble(
        "sequences",
        split(121),
        split(60),
        num_classes=7,
        kind="tokens",
        validation_fraction=24 / 121,
        licence="none",
        source="made here",
        vocabulary=tuple("abcdefg"),
    )


@pytest.fixture(scope="session")
def partly(sequences):
    """`sequences` that ask for the last four symbols only."""

    def silenced(split):
        labels = split.labels.copy()
        labels[:, :-4] = -1
        return Split(split.inputs, labels)

    parts = {name: silenced(getattr(sequences, name)) for name in ("train", "validation", "test")}
    return dataclasses.replace(sequences, **parts)


@pytest.fixture(scope="session")
def numbers():
    """Signals of two channels, 97 of length 9; the label is the sum of the second, with noise."""
    rng = np.random.default_rng(3)

    def split(n):
        signals = rng.normal(size=(n, 9, 2)).astype(np.float32)
        labels = signals[..., 1].sum(axis=1) + 0.1 * rng.normal(size=n)
        return Split(signals, labels.astype(np.float32))

    made = assemble(
        "numbers",
        split(121),
        split(60),
        num_classes=1,
        kind="signal",
        validation_fraction=24 / 121,
        licence="none",
        source="made here",
    )
    return dataclasses.replace(made, tolerance=1.0)


def drawn(key):
    """A picture like those of `blobs`, drawn by a key."""
    label_key, noise_key = jax.random.split(key)
    label = jax.random.randint(label_key, (), 0, 5, np.int32)
    noise = jax.random.randint(noise_key, (14, 14), 0, 120, np.int32)
    rows = jax.numpy.arange(14)[:, None] - 2 * label
    columns = jax.numpy.arange(14)[None, :]
    square = (rows >= 0) & (rows < 4) & (columns >= 3) & (columns < 7)
    return (noise + 90 * square).astype(np.uint8), label


@pytest.fixture(scope="session")
def endless(dataset):
    """`dataset` with training examples that are drawn and never come twice."""
    return dataclasses.replace(dataset, generator=drawn)


@pytest.fixture(scope="session")
def make(dataset, sequences, endless, partly, numbers):
    """make(batch_sizes=…, budget=…, model=…, data="blobs", any training or engine field).

    `data` is a name or a dataset; `wide` pins the wider micro-steps, which no flag asks for.
    """

    def build(**values) -> Plan:
        values_source, wide = values.pop("data", "blobs"), values.pop("wide", ())
        values.setdefault("model", "mlp")
        if isinstance(values.get("budget"), str):
            values["budget"] = parse_budget(values["budget"])
        groups = {"task": TaskConfig, "grid": GridConfig, "training": TrainingConfig}
        groups |= {"engine": EngineConfig, "branch": BranchConfig, "record": RecordConfig}
        parts = {}
        for name, kind in groups.items():
            mine = {f.name for f in dataclasses.fields(kind)} & set(values)
            parts[name] = kind(**{key: values.pop(key) for key in mine})
        assert not values, f"no such settings: {values}"
        config = SweepConfig(**parts)
        sources = {"blobs": dataset, "sequences": sequences, "endless": endless}
        sources |= {"partly": partly, "numbers": numbers}
        task, data = fit_task(config, sources.get(values_source, values_source))
        plan = make_plan(config, task, data)
        if not wide:
            return plan
        return make_plan(config, task, data, plan.resolved() | {"wide": wide})

    return build


@pytest.fixture(scope="session")
def run_cells():
    """run_cells(plan, …) -> {cell index: record}, through the host loop."""

    def run(plan: Plan, **options) -> dict[int, dict]:
        records = []
        mesh = devices.make_mesh(AXIS, plan.layout.devices)
        train(plan, mesh, records.append, **options)
        by_cell = {plan.grid.index(record["cell"]): record for record in records}
        assert len(by_cell) == len(records), "a cell was recorded twice"
        return by_cell

    return run


@pytest.fixture(scope="session")
def run_lanes():
    """run_lanes(plan, limit=…) -> (lanes, report): all cells at once, one per lane, to the end."""

    def run(plan: Plan, limit: int = 1000):
        mesh = devices.make_mesh(AXIS, plan.layout.devices)
        split = jax.NamedSharding(mesh, jax.P(AXIS))
        everywhere = jax.NamedSharding(mesh, jax.P())
        arrays = jax.device_put(to_arrays(plan.dataset, plan.recipe.task.model.dtype), everywhere)
        program = compile_program(plan.recipe, plan.layout, mesh, arrays)
        lanes = jax.device_put(empty_lanes(plan.recipe, plan.layout), split)
        assert plan.layout.lanes == len(plan.cells)
        for fresh in [True] + [False] * 10_000:
            rows = [plan.order(cell, fresh) for cell in plan.cells]
            orders = jax.device_put(jax.tree.map(lambda *x: np.stack(x), *rows), split)
            stop_at = jax.device_put(np.int32(limit), everywhere)
            lanes, report = program(lanes, orders, stop_at, arrays, None)
            if (np.asarray(report.status) > Status.RUNNING).all():
                return jax.device_get((lanes, report))
        raise AssertionError("the lanes never came to an end")

    return run
