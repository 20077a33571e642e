"""The graph network: a second writing, node by node; what it may and may not depend on."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from minima.tasks.models.graph import edges_of, messages_received, neighbours

EDGES = ((0, 1), (4, 1), (1, 2), (2, 4), (5, 0))  # node 3 has no neighbour
NODES, N = 6, 3


def graph(build, **fields):
    fields = {"width": 5, "parameter_dtype": "float64", "edges": EDGES, "kind": "graph"} | fields
    return build("gnn", (NODES, 2), 4, **fields)


def dense(x, p):
    return x @ p["kernel"] + p["bias"]


def node_by_node(params, x, edges, per_position):
    """The network in NumPy, one message after the other."""
    x = dense(x, params["encoder"])
    for layer in params["layers"].values():
        total = np.zeros_like(x)
        for pair in edges:
            for i, j in (pair, pair[::-1]):
                message = dense(x[:, i], layer["receiver"]) + dense(x[:, j], layer["sender"])
                total[:, i] += np.maximum(message, 0)
        x = x + dense(total / np.sqrt(2 * len(edges) / NODES), layer["update"])
    return dense(x if per_position else x.mean(axis=1), params["readout"])


@pytest.mark.parametrize("per_position", [False, True])
@pytest.mark.parametrize("depth", [1, 3])
def test_equals_a_loop_over_messages(x64, build, drawn, inputs_of, per_position, depth):
    model = graph(build, per_position=per_position, depth=depth)
    (params, state), x = drawn(model), inputs_of(model, N)
    logits, _ = model.apply(params, state, x)
    expected = node_by_node(params, x, EDGES, per_position)
    assert logits.shape == ((N, NODES, 4) if per_position else (N, 4))
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("per_position", [False, True])
def test_numbers_of_nodes_mean_nothing_and_edges_do(
    x64, build, drawn, inputs_of, norm, per_position
):
    model = graph(build, norm=norm, per_position=per_position)
    (params, state), x = drawn(model), inputs_of(model, N)
    order = np.array([3, 1, 5, 0, 2, 4])
    place = np.argsort(order)
    renamed = tuple((int(place[b]), int(place[a])) for a, b in EDGES[::-1])

    def logits(edges, x):
        settings = dataclasses.replace(model.settings, edges=edges)
        return np.asarray(dataclasses.replace(model, settings=settings).apply(params, state, x)[0])

    before = logits(EDGES, x)
    moved = before[:, order] if per_position else before
    np.testing.assert_allclose(logits(renamed, x[:, order]), moved, rtol=0, atol=1e-12)
    assert np.abs(logits(EDGES, x[:, order]) - moved).max() > 1e-3  # the edges are wrong


def test_a_node_hears_from_as_far_as_there_are_layers(x64, build, drawn, inputs_of):
    path = tuple((i, i + 1) for i in range(NODES - 1))
    for depth in (1, 2, 3):
        model = graph(build, edges=path, depth=depth, per_position=True)
        (params, state), x = drawn(model), inputs_of(model, N)
        other = x.copy()
        other[:, 0] += 1
        change = np.abs(model.apply(params, state, x)[0] - model.apply(params, state, other)[0])
        assert (change.max(axis=(0, 2)) > 1e-9).tolist() == [i <= depth for i in range(NODES)]


def test_neighbours_in_a_table():
    others, there = neighbours(EDGES, NODES)
    found = [others[i][there[i]].tolist() for i in range(NODES)]
    assert found == [[1, 5], [0, 2, 4], [1, 4], [], [1, 2], [0]]
    assert others.shape == (NODES, 3)
    assert not others[~there].any()
    assert neighbours((), 4)[1].sum() == 0


def test_sums_are_those_of_segments_in_every_derivative(x64):
    random = np.random.default_rng(0)
    receivers, senders, along = random.normal(size=(3, N, NODES, 4))
    both = np.array([*EDGES, *(pair[::-1] for pair in EDGES)])

    def segments(receivers, senders):
        messages = jax.nn.relu(receivers[:, both[:, 0]] + senders[:, both[:, 1]])
        total = jax.ops.segment_sum(jnp.moveaxis(messages, 1, 0), both[:, 0], NODES)
        return jnp.moveaxis(total, 0, 1)

    def derived(total):
        def loss(senders):
            return jnp.sum(jnp.sin(total(receivers, senders)))

        return jax.jvp(jax.value_and_grad(loss), (senders,), (along,))

    for found, expected in zip(
        jax.tree.leaves(derived(lambda r, s: messages_received(r, s, EDGES))),
        jax.tree.leaves(derived(segments)),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_pixels_and_samples_are_neighbours_of_the_next(build):
    chain = edges_of(build("gnn", (4,)).settings)
    assert set(chain) == {(0, 1), (1, 2), (2, 3)}
    grid = edges_of(build("gnn", (2, 3)).settings)
    assert set(grid) == {(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)}


def test_a_transformer_over_nodes_is_not_causal(x64, build, drawn, inputs_of):
    fields = {"kind": "graph", "per_position": True, "width": 16, "parameter_dtype": "float64"}
    model = build("transformer", (NODES, 2), 4, positions=False, **fields)
    (params, state), x = drawn(model), inputs_of(model, N)
    turned = model.apply(params, state, x[:, ::-1])[0][:, ::-1]
    np.testing.assert_allclose(model.apply(params, state, x)[0], turned, rtol=0, atol=1e-12)
