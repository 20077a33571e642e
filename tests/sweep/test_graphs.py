"""Cells that read a graph, against the plain loop, and what is refused of one."""

import jax
import numpy as np
import pytest
from plain_reference import compare

from minima.runtime.errors import UserError
from minima.sweep.config import SweepConfig, TaskConfig
from minima.sweep.description import describe
from minima.sweep.plan import load_task
from minima.tasks.datasets.dataset import Split, assemble

EDGES = ((0, 1), (1, 2), (3, 4), (0, 4))


def graphs(labels_of):
    """121 + 60 examples of two features on five nodes."""
    random = np.random.default_rng(0)

    def split(n):
        features = random.normal(size=(n, 5, 2)).astype(np.float32)
        return Split(features, labels_of(features))

    return assemble(
        "graphs",
        split(121),
        split(60),
        num_classes=2,
        kind="graph",
        validation_fraction=24 / 121,
        licence="none",
        source="made here",
        edges=EDGES,
    )


def of_all(features):
    return (features.sum(axis=(1, 2)) > 0).astype(np.int32)


def of_each(features):
    return (features.sum(axis=2) > 0).astype(np.int32)


def number(features):
    return features.sum(axis=2)


@pytest.mark.slow
@pytest.mark.parametrize("labels_of", [of_all, of_each, number])
def test_a_cell_equals_the_plain_loop(make, run_lanes, labels_of):
    with jax.enable_x64(True):
        plan = make(
            data=graphs(labels_of),
            model="gnn",
            width=4,
            loss="squared_error" if labels_of is number else "cross_entropy",
            optimizer="adam",
            batch_sizes=(5, 32),
            learning_rates=(0.003,),
            seeds=(3,),
            budget="20steps",
            evaluations=20,
            microbatch=16,
            lanes=1,
            block=1,
            dtype="float64",
        )
        assert "5×2 graphs" in describe(plan)
        compare(plan, *run_lanes(plan, limit=7), updates=20)


@pytest.mark.parametrize(
    ("edges", "says"),
    [(((0, 0),), "from node 0 to node 0"), (((0, 5),), "0 .. 4"), (((0, 1), (1, 0)), "twice")],
)
def test_edges_that_are_none_are_refused(edges, says):
    split = Split(np.arange(20, dtype=np.float32).reshape(2, 5, 2), np.array([0, 1], np.int32))
    known = {"num_classes": 2, "kind": "graph", "validation_fraction": 0.0}
    with pytest.raises(UserError, match=says):
        assemble("g", split, split, licence="none", source="here", edges=edges, **known)


def test_only_what_reads_a_graph_gets_one():
    for model in ("cnn", "cnn1d"):
        with pytest.raises(UserError, match="holds graphs; use --model="):
            load_task(SweepConfig(task=TaskConfig(dataset="opinions", model=model)))
    task, _ = load_task(SweepConfig(task=TaskConfig(dataset="opinions")))
    assert task.model.name == "gnn"
    assert len(task.model.settings.edges) == 155


def test_the_size_of_images_is_no_part_of_an_older_run_id():
    assert "image_size" not in SweepConfig().identity()["task"]
    small = SweepConfig(task=TaskConfig(image_size=14))
    assert SweepConfig.from_identity(small.identity()) == small
