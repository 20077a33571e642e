"""The layers against XLA's own, finite differences and the binomial distribution."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import stats

from minima.tasks.models.layers import Conv, Noise, Training, dropout, linear, max_pool_2x2

SURE = 1e-9  # chance that a right program fails one statistical test on fresh keys


@pytest.fixture(scope="module")
def conv():
    """The layer as a function of its input and its parameters; options as the layer's."""

    def apply(x, kernel, bias, pooled=False, **options):
        size, dimensions = options.get("size", 3), options.get("dimensions", 2)
        channels = kernel.shape[0] // size**dimensions, kernel.shape[1]
        options |= {"dtype": kernel.dtype, "bias": bias is not None}
        graph = nnx.split(
            nnx.eval_shape(lambda: Conv(*channels, **options, rngs=nnx.Rngs(params=0)))
        )[0]
        given = {"kernel": kernel} if bias is None else {"kernel": kernel, "bias": bias}
        layer = nnx.merge(graph, nnx.State(given), copy=True)
        return layer.pooled(x) if pooled else layer(x)

    return apply


@pytest.fixture(scope="module")
def lax_conv():
    """XLA's convolution, channels last, from the layer's (size^dimensions · in, out) kernel."""

    def apply(x, kernel, bias, size=3, stride=1, padding=1, dimensions=2):
        kernel = kernel.reshape(*[size] * dimensions, x.shape[-1], kernel.shape[-1])
        layout = ("NHWC", "HWIO", "NHWC") if dimensions == 2 else ("NHC", "HIO", "NHC")
        y = jax.lax.conv_general_dilated(
            x,
            kernel,
            [stride] * dimensions,
            [(padding, padding)] * dimensions,
            dimension_numbers=layout,
        )
        return y if bias is None else y + bias.reshape(*[1] * (dimensions + 1), -1)

    return apply


def conv_arguments(shape, channels_out, seed=0, lanes=(), size=3, bias=True):
    rng = np.random.default_rng(seed)
    fan_in = size ** (len(shape) - 2) * shape[-1]
    shapes = (shape, (fan_in, channels_out), (channels_out,))
    drawn = [rng.normal(size=(*lanes, *s)) for s in shapes]
    return drawn if bias else [*drawn[:2], None]


def pullback(function, arguments, seed=1):
    value, transpose = jax.vjp(function, *arguments)
    return value, transpose(np.random.default_rng(seed).normal(size=value.shape))


# Shape of x, channels out, what differs from 3×3 kernels, stride 1, padding 1.
CONVOLUTIONS = [
    ((2, 7, 5, 1), 1, {}),
    ((3, 5, 8, 3), 4, {}),
    ((2, 1, 3, 2), 3, {}),
    ((1, 1, 1, 5), 2, {}),
    ((2, 7, 6, 2), 3, {"stride": 2}),
    ((2, 8, 5, 2), 2, {"size": 1, "padding": 0, "stride": 2, "bias": False}),
    ((2, 3, 5, 2), 2, {"size": 1, "padding": 1}),
    ((2, 9, 7, 1), 2, {"size": 5, "padding": 2, "stride": 3}),
    ((1, 6, 5, 3), 2, {"size": 2, "padding": 0, "bias": False}),
    ((3, 11, 2), 4, {"dimensions": 1}),
    ((2, 40, 1), 3, {"dimensions": 1, "size": 5, "stride": 2}),
    ((2, 19, 3), 3, {"dimensions": 1, "stride": 2}),
    ((2, 10, 2), 2, {"dimensions": 1, "size": 4, "stride": 3, "padding": 0, "bias": False}),
    ((2, 7, 2), 3, {"dimensions": 1, "size": 1, "padding": 0, "stride": 2}),
]


@pytest.mark.parametrize(("shape", "channels_out", "options"), CONVOLUTIONS)
def test_convolution_equals_that_of_xla(x64, quick, conv, lax_conv, shape, channels_out, options):
    options = options.copy()
    bias = options.pop("bias", True)
    arguments = conv_arguments(shape, channels_out, size=options.get("size", 3), bias=bias)
    both = quick(lambda *a: [pullback(partial(f, **options), a) for f in (conv, lax_conv)])
    (ours, our_gradients), (theirs, their_gradients) = both(*arguments)
    assert ours.dtype == np.float64
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    pairs = zip(jax.tree.leaves(our_gradients), jax.tree.leaves(their_gradients), strict=True)
    for mine, xla in pairs:
        np.testing.assert_allclose(mine, xla, rtol=0, atol=1e-12)


def test_convolution_of_a_point_shows_the_kernel_turned_round(conv):
    # A lone one at the centre spreads the kernel, point-reflected: a correlation, as in the papers.
    x = np.zeros((1, 3, 3, 1), np.float32)
    x[0, 1, 1, 0] = 1
    kernel = np.arange(9, dtype=np.float32)[:, None]
    y = conv(x, kernel, np.zeros(1, np.float32))
    np.testing.assert_array_equal(y[0, :, :, 0], [[8, 7, 6], [5, 4, 3], [2, 1, 0]])


def test_convolution_in_forward_over_reverse_mode(x64, conv):
    x, kernel, bias = conv_arguments((2, 5, 4, 2), 3)

    def loss(parameters):
        return jnp.sum(jnp.sin(conv(x, *parameters)) ** 2)

    gradient = jax.jit(jax.grad(loss))
    point, direction = (kernel, bias), tuple(conv_arguments((2, 5, 4, 2), 3, seed=1)[1:])
    product = jax.jit(lambda p, v: jax.jvp(jax.grad(loss), (p,), (v,))[1])(point, direction)
    step = 1e-5

    def gradient_at(t):
        return gradient(tuple(p + t * v for p, v in zip(point, direction, strict=True)))

    for hv, up, down in zip(product, gradient_at(step), gradient_at(-step), strict=True):
        np.testing.assert_allclose(hv, (up - down) / (2 * step), rtol=0, atol=1e-6)
        assert np.abs(hv).max() > 1


@pytest.mark.slow
# Few channels and many: products over 4×4 tiles, and over ordinary patches corner by corner.
@pytest.mark.parametrize("shape", [(2, 6, 8, 1), (3, 7, 5, 3), (2, 7, 6, 8), (1, 2, 3, 6)])
def test_a_pooled_convolution_is_convolution_and_pooling(x64, conv, lax_conv, shape):
    arguments = conv_arguments(shape, 5)
    ours, our_gradients = pullback(partial(conv, pooled=True), arguments)
    theirs, their_gradients = pullback(lambda *a: max_pool_2x2(lax_conv(*a)), arguments)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    for mine, plain in zip(our_gradients, their_gradients, strict=True):
        np.testing.assert_allclose(mine, plain, rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 8])
def test_a_pooled_convolution_in_forward_over_reverse_mode(x64, conv, lax_conv, channels):
    x, *point = conv_arguments((2, 6, 5, channels), 3)
    direction = conv_arguments((2, 6, 5, channels), 3, seed=1)[1:]

    def curvature(function):
        def loss(parameters):
            return jnp.sum(jnp.sin(function(x, *parameters)) ** 2)

        return jax.jvp(jax.grad(loss), (point,), (direction,))[1]

    plain = curvature(lambda *a: max_pool_2x2(lax_conv(*a)))
    for ours, theirs in zip(curvature(partial(conv, pooled=True)), plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
        assert np.abs(ours).max() > 1


def test_pooling_in_forward_over_reverse_mode(x64):
    x, direction = np.random.default_rng(0).normal(size=(2, 2, 5, 4, 3))

    def curvature(pool):
        return jax.jvp(jax.grad(lambda x: jnp.sum(jnp.sin(pool(x)))), (x,), (direction,))[1]

    def strided(x):
        return jnp.maximum(
            jnp.maximum(x[:, :4:2, ::2], x[:, 1:4:2, ::2]),
            jnp.maximum(x[:, :4:2, 1::2], x[:, 1:4:2, 1::2]),
        )

    np.testing.assert_allclose(curvature(max_pool_2x2), curvature(strided), rtol=0, atol=1e-14)


def test_convolution_with_a_kernel_for_each_lane(x64, conv, lax_conv):
    arguments = conv_arguments((2, 5, 6, 2), 3, lanes=(4,))
    ours = jax.jit(jax.vmap(lambda *a: pullback(conv, a)))(*arguments)
    single = jax.jit(lambda *a: pullback(lax_conv, a))
    for lane in range(4):
        theirs = single(*(a[lane] for a in arguments))
        for mine, xla in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(mine[lane], xla, rtol=0, atol=1e-12)


POOLS = [(2, 4, 6, 3), (2, 5, 7, 2), (1, 3, 2, 1), (1, 1, 5, 2)]


@pytest.mark.parametrize("shape", POOLS)
def test_pooling_equals_reduce_window_where_nothing_is_tied(shape):
    x = np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape).astype(np.float32)
    pooled = max_pool_2x2(x)
    expected = jax.lax.reduce_window(
        x, -np.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), padding="VALID"
    )
    np.testing.assert_array_equal(pooled, expected)

    # The gradient goes where the value came from, and nowhere else.
    cotangent = 1 + np.arange(pooled.size, dtype=np.float32).reshape(pooled.shape)
    back = np.zeros(shape, np.float32)
    for where in np.ndindex(pooled.shape):
        back[x == pooled[where]] = cotangent[where]
    np.testing.assert_array_equal(jax.vjp(max_pool_2x2, x)[1](cotangent)[0], back)


def test_ties_share_the_gradient_and_odd_edges_get_none():
    x = np.zeros((1, 5, 5, 1), np.float32)
    x[0, 0, :2] = 1  # two tied on top of the first window
    x[0, 2, 2] = 1  # one alone in the fourth; the others are tied all four
    x[0, 4] = x[0, :, 4] = 9
    assert np.asarray(max_pool_2x2(x))[0, :, :, 0].tolist() == [[1, 0], [0, 1]]
    cotangent = np.array([[4, 8], [12, 16]], np.float32)[None, :, :, None]
    (back,) = jax.vjp(max_pool_2x2, x)[1](cotangent)
    rows = [[2, 2, 2, 2, 0], [0, 0, 2, 2, 0], [3, 3, 16, 0, 0], [3, 3, 0, 0, 0], [0] * 5]
    np.testing.assert_array_equal(back[0, :, :, 0], rows)


def test_pooling_takes_a_gradient_where_its_input_is_computed_twice():
    # XLA may compute the input again for the gradient and round differently. One that looks for
    # the maximum among the values then finds none: without optimisation, jnp.max in this program
    # divides by zero.
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(18, 16)).astype("f")
    x = rng.normal(size=(6, 16, 18)).astype("f")

    def loss(kernel):
        y = x @ kernel
        y = y - y.mean(axis=(1, 2), keepdims=True)
        y = y * jax.lax.rsqrt(jnp.mean(y**2, axis=(1, 2), keepdims=True) + 1e-5)
        pooled = max_pool_2x2(jax.nn.relu(1.1 * y + 0.1).reshape(6, 4, 4, 16))
        return jnp.sum(jnp.sin(pooled) ** 2)

    def slopes_of(kernel):
        return jax.jvp(jax.value_and_grad(loss), (kernel,), (kernel,))[1]

    options = {"xla_backend_optimization_level": 0}
    slopes = jax.jit(slopes_of, compiler_options=options)(kernel)
    for slope in slopes:
        assert np.isfinite(slope).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38])
def test_pooling_hands_on_what_is_not_finite(value):
    x = np.zeros((1, 2, 2, 1), np.float32)
    for where in np.ndindex(2, 2):
        y = x.copy()
        y[0, *where, 0] = value
        np.testing.assert_array_equal(max_pool_2x2(y).item(), np.maximum(np.float32(value), 0))
    np.testing.assert_array_equal(max_pool_2x2(x + np.float32(value)).item(), np.float32(value))


N, UNITS = 1200, 25  # one shape for all, as compiling the generator is what takes time


@pytest.fixture(scope="module")
def drop():
    """drop(x, keys, rate, layer) -> x with dropout, as numpy."""
    apply = jax.jit(
        lambda x, keys, rate, layer: dropout(x, Training(None, Noise(keys, rate)), layer)
    )

    def call(x, keys, rate, layer=0):
        return np.asarray(apply(x, keys, np.float32(rate), layer))

    return call


@pytest.fixture(scope="module")
def keys():
    return jax.random.split(jax.random.key(3), N)


@pytest.fixture(scope="module")
def dropped(drop, keys):
    """What dropout leaves of ones, by rate."""
    return {rate: drop(np.ones((N, UNITS), "f"), keys, rate) for rate in (0, 0.1, 0.5, 0.9)}


def activations():
    return np.random.default_rng(0).normal(size=(N, UNITS)).astype(np.float32)


def binomial_limits(trials, chance):
    return stats.binom.ppf([SURE / 2, 1 - SURE / 2], trials, chance)


def test_masks_depend_on_the_examples_key_alone(drop, keys):
    x = activations()
    whole = drop(x, keys, 0.4)
    order = np.random.default_rng(0).permutation(N)
    np.testing.assert_array_equal(drop(x[order], keys[order], 0.4), whole[order])
    size = N // 3
    parts = [drop(x[i : i + size], keys[i : i + size], 0.4) for i in (0, size, 2 * size)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_one_key_gives_one_mask_and_another_key_another(drop, dropped, keys):
    assert len(np.unique(dropped[0.5], axis=0)) > N - 5
    twins = keys[np.repeat(np.arange(N // 2), 2)]
    masks = drop(np.ones((N, UNITS), "f"), twins, 0.5)
    np.testing.assert_array_equal(masks[::2], masks[1::2])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_units_are_dropped_at_the_rate_and_the_mean_stays(dropped, rate):
    y, keep = dropped[rate], 1 - rate
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1 / keep, rtol=1e-6)
    for counts, trials in ((kept.sum(), kept.size), (kept.sum(axis=0), N)):
        low, high = binomial_limits(trials, keep)
        assert (low <= counts).all()
        assert (counts <= high).all()
    low, high = binomial_limits(y.size, keep)
    assert low / keep <= y.sum(dtype=np.float64) <= high / keep


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_units_of_an_example_are_dropped_independently(dropped, rate):
    # Numbers of units kept per example follow the binomial distribution, rare ones pooled.
    kept = (dropped[rate] != 0).sum(axis=1)
    expected = N * stats.binom.pmf(np.arange(UNITS + 1), UNITS, 1 - rate)
    observed = np.bincount(kept, minlength=UNITS + 1)
    common = expected >= 5
    pooled = [np.append(c[common], c[~common].sum()) for c in (observed, expected)]
    assert stats.chisquare(*pooled).pvalue > SURE


def test_dropout_switched_off_is_the_identity(drop, keys):
    x = activations()
    np.testing.assert_array_equal(drop(x, keys, 0), x)
    assert dropout(x, None, layer=0) is x
    assert dropout(x, Training(np.ones(N, "f")), layer=0) is x


def test_layers_have_masks_of_their_own(drop, keys):
    ones = np.ones((N, UNITS), "f")
    first, second = (drop(ones, keys, 0.3, layer) for layer in (0, 1))
    # Independent masks agree with probability 0.7² + 0.3².
    low, high = binomial_limits(first.size, 0.58)
    assert low <= np.sum(first == second) <= high


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layers_keep_their_dtype(x64, dtype):
    def layers(x, keys, rate):
        rngs = nnx.Rngs(params=0)
        y = max_pool_2x2(Conv(3, 2, dtype=dtype, rngs=rngs)(x))
        z = linear(8, 5, dtype=dtype, rngs=rngs)(y.reshape(2, 8))
        return y, z, dropout(z, Training(None, Noise(keys, rate)), layer=0)

    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 2))
    arguments = [jax.ShapeDtypeStruct(shape, dtype) for shape in ((2, 4, 4, 3), ())]
    shapes = jax.eval_shape(layers, arguments[0], keys, arguments[1])
    assert {s.dtype for s in shapes} == {np.dtype(dtype)}
