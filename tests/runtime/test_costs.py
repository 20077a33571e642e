"""Operations against closed forms, and against the compiler's own count where it can count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from minima.runtime.costs import Work, count, memory
from minima.tasks.models.attention import attention
from minima.tasks.models.recurrent import Layer


def shape(*sizes, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(sizes, dtype)


def compiler_says(function, *arguments):
    found = jax.jit(function).lower(*arguments).compile().cost_analysis()
    found = found[0] if isinstance(found, list) else found
    return found["flops"], found.get("transcendentals", 0)


# --- closed forms ----------------------------------------------------------------------------


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (3, 5, 7), (64, 32, 16)])
def test_a_product_is_2mnk(m, k, n):
    work = count(jnp.matmul, shape(m, k), shape(k, n))
    assert work == Work(products=2 * m * n * k, bytes=4 * (m * k + k * n + m * n))


def test_a_batch_of_products_and_any_layout():
    work = count(lambda a, b: jnp.einsum("bik,bjk->bij", a, b), shape(4, 3, 5), shape(4, 7, 5))
    assert work.products == 4 * 2 * 3 * 7 * 5


def test_a_convolution_counts_every_tap():
    def convolve(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    x, kernel = shape(2, 8, 8, 3), shape(3, 3, 3, 5)
    work = count(convolve, x, kernel)
    assert work.products == 2 * (2 * 6 * 6 * 5) * (3 * 3 * 3)
    assert work.flops == compiler_says(convolve, x, kernel)[0]


def test_grouped_convolutions_see_their_own_channels_only():
    def convolve(x, kernel):
        return jax.lax.conv_general_dilated(x, kernel, (1,), "VALID", feature_group_count=3)

    work = count(convolve, shape(2, 6, 10), shape(9, 2, 4))
    assert work.products == 2 * (2 * 9 * 7) * (2 * 4)


@pytest.mark.parametrize("length", [16, 64])
def test_attention_is_4_n_squared_d_and_a_softmax(length):
    heads, features = 2, 16
    x = shape(1, heads, features, length)
    work = count(lambda q, k, v: attention(q, k, v, causal=False), x, x, x)
    scores = heads * length**2
    assert work.products == 4 * scores * features
    assert work.transcendental == scores
    # The largest, the difference, the sum: one each for every score, but for the first of a row.
    rows, mixed = heads * length, heads * length * features
    assert work.elementwise == 3 * scores - 2 * rows + 2 * mixed


@pytest.mark.parametrize("length", [1, 10, 1000])
def test_an_lstm_is_its_step_times_its_length(length):
    features, hidden, n = 6, 8, 2

    def build():
        rngs = nnx.Rngs(params=jax.random.key(0))
        return Layer("lstm", features, hidden, dtype=jnp.dtype("float32"), rngs=rngs)

    graph, params = nnx.split(nnx.eval_shape(build))
    work = count(lambda p, x: nnx.merge(graph, p)(x), params, shape(n, length, features))
    assert work.products == length * n * 2 * 4 * hidden * (features + hidden)
    assert work.transcendental == length * n * 5 * hidden  # three sigmoids, two tanh
    gates = 4 * hidden  # a bias, the sum of both products
    assert work.elementwise == length * n * (2 * gates + 4 * hidden)


def test_whole_numbers_masks_and_moves_are_free():
    def moves(x, place):
        chosen = jnp.take(x, place + 1, axis=0)
        return jnp.concatenate([chosen.T, x.T], axis=1).reshape(-1).astype(jnp.bfloat16)

    work = count(moves, shape(5, 4), shape(3, dtype=jnp.int32))
    assert work.flops == 0
    assert work.bytes > 0


# --- loops and branches ----------------------------------------------------------------------


def looped(matrix, x):
    return jax.lax.scan(lambda carry, _: (matrix @ carry, None), x, length=50)[0]


def test_a_loop_counts_as_often_as_it_runs_where_the_compiler_counts_once():
    arguments = shape(16, 16), shape(16, 16)
    once = 2 * 16**3
    assert count(looped, *arguments).products == 50 * once
    assert compiler_says(looped, *arguments)[0] < 2 * once


def test_a_loop_inside_a_loop():
    def twice(matrix, x):
        return jax.lax.fori_loop(0, 7, lambda _, y: looped(matrix, y), x)

    assert count(twice, shape(4, 4), shape(4, 4)).products == 7 * 50 * 2 * 4**3


def test_of_a_branch_the_dearest():
    def either(choice, x):
        return jax.lax.cond(choice, lambda x: x @ x, lambda x: (x @ x) @ x, x)

    assert count(either, shape(dtype=jnp.bool_), shape(4, 4)).products == 2 * 2 * 4**3


def test_what_no_one_can_know_is_refused():
    def until(x):
        return jax.lax.while_loop(lambda x: x < 3, lambda x: x + 1, x)

    with pytest.raises(ValueError, match=r"lax\.scan"):
        count(until, shape())
    with pytest.raises(ValueError, match="igamma costs"):
        count(jax.scipy.special.gammainc, shape(), shape())


def test_calls_are_looked_into_and_the_way_back_too():
    @jax.checkpoint
    @jax.jit
    def layer(w, x):
        return jnp.tanh(x @ w)

    def loss(w, x):
        return jnp.sum(layer(w, layer(w, x)))

    w, x = shape(8, 8), shape(4, 8)
    product = 2 * 4 * 8 * 8
    assert count(loss, w, x).products == 2 * product
    # Each is computed again, and has two on the way back but for the one that needs none.
    both = count(jax.value_and_grad(loss), w, x).products
    assert both == (2 + 2 + 3) * product


# --- against the compiler --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (jnp.matmul, (shape(32, 16), shape(16, 8))),
        (lambda a, b: a * b + a - b, (shape(32), shape(32))),
        (lambda a: jnp.sum(a, axis=1), (shape(32, 16),)),
        (lambda a: jnp.maximum(a, 0.5) / a, (shape(100),)),
    ],
)
def test_programs_without_loops_count_as_the_compiler_counts(function, arguments):
    work = count(function, *arguments)
    assert (work.flops, work.transcendental) == compiler_says(function, *arguments)


def test_a_whole_training_pass_is_near_the_compilers_count():
    def loss(weights, x, y):
        hidden = jnp.tanh(x @ weights[0])
        return jnp.mean(jnp.square(hidden @ weights[1] - y))

    arguments = [shape(64, 128), shape(128, 32)], shape(16, 64), shape(16, 32)
    both = jax.value_and_grad(loss)
    work, (flops, transcendentals) = count(both, *arguments), compiler_says(both, *arguments)
    assert work.products + work.elementwise == pytest.approx(flops, rel=0.02)
    assert work.transcendental == transcendentals


def test_memory_is_the_compilers_plan():
    def program(a, b):
        return jnp.sum(jax.nn.softmax(a @ b) @ (b @ a) @ b)

    compiled = jax.jit(program).lower(shape(64, 64), shape(64, 64)).compile()
    found = memory(compiled)
    assert (found.arguments, found.outputs) == (2 * 4 * 64 * 64, 4)
    assert found.temporary >= 4 * 64 * 64
    assert found.total == found.temporary + found.arguments + found.outputs


def test_works_add_up():
    one = count(jnp.matmul, shape(2, 2), shape(2, 2))
    assert (one + one) == one * 2 == Work(products=32, bytes=96)
    assert np.sum([one.products, one.elementwise, one.transcendental]) == one.flops
