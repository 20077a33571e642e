"""The endless MNIST-1D against the published generator: number by number, and in distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from minima.tasks.datasets import load, mnist1d
from minima.tasks.datasets.dataset import Split
from minima.tasks.datasets.mnist1d_stream import SETTINGS, chances, draw, signal

COUNT = 40_000
LEVEL = 0.01  # of each family of tests, shared out evenly among its members (Bonferroni)
# All but scale_coeff, which hardly shows beside shear and translation.
CHANGES = [
    {"padding": (44, 60)},
    {"max_translation": 46},
    {"corr_noise_scale": 0.3},
    {"iid_noise_scale": 0.05},
    {"shear_scale": 0.8},
]


def keys(count, seed=0):
    return jax.random.split(jax.random.key(seed), count)


def sample(count, seed=0):
    inputs, labels = jax.jit(jax.vmap(draw))(keys(count, seed))
    return Split(np.asarray(inputs), np.asarray(labels))


@pytest.fixture(scope="module")
def drawn():
    return sample(COUNT)


@pytest.fixture(scope="module")
def generated():
    return mnist1d.generate(SETTINGS, COUNT)[1]


def by_class(split):
    return [split.inputs[split.labels == label] for label in range(10)]


def rejected(p_values):
    """How many p values a family of tests rejects."""
    p_values = np.ravel(p_values)
    return int((p_values < LEVEL / len(p_values)).sum())


def kolmogorov_smirnov(mine, theirs):
    """P values per coordinate, of all classes together and of each."""
    pairs = [(mine.inputs, theirs.inputs), *zip(by_class(mine), by_class(theirs), strict=True)]
    return [stats.ks_2samp(a, b, method="asymp").pvalue for a, b in pairs]


def z_test(mine, theirs):
    """P values per column that two samples (n, columns) have one mean."""
    mine, theirs = np.asarray(mine, np.float64), np.asarray(theirs, np.float64)
    variance = mine.var(axis=0) / len(mine) + theirs.var(axis=0) / len(theirs)
    return 2 * stats.norm.sf(np.abs(mine.mean(axis=0) - theirs.mean(axis=0)) / np.sqrt(variance))


def products(signals, centre):
    """Products of every two centred coordinates, (n, 820): their means are the covariances."""
    row, column = np.triu_indices(signals.shape[1])
    centred = signals - centre
    return centred[:, row] * centred[:, column]


def covariance_test(mine, theirs):
    p_values = []
    for a, b in zip(by_class(mine), by_class(theirs), strict=True):
        centre = np.concatenate([a, b]).mean(axis=0)
        p_values.append(z_test(products(a, centre), products(b, centre)))
    return p_values


def test_given_the_same_chances_it_makes_the_same_signals():
    count = 2000
    _, expected = mnist1d.generate(SETTINGS, count)
    random = np.random.RandomState(SETTINGS.seed + 1)
    rows = []
    for label in expected.labels:
        size, amplitude = random.random_sample(2)
        shift = random.randint(SETTINGS.max_translation)
        noise = random.standard_normal((2, SETTINGS.width))
        rows.append((label, size, amplitude, shift, random.random_sample(), noise))
    label, size, amplitude, shift, slope, noise = map(np.array, zip(*rows, strict=True))
    size, amplitude, slope, noise = map(np.float32, (size, amplitude, slope, noise))
    shift = shift.astype(np.int32)
    made = jax.jit(jax.vmap(signal))(label, size, amplitude, shift, slope, noise)
    np.testing.assert_allclose(made, expected.inputs, rtol=0, atol=5e-6)


def test_padding_and_nothing_else_is_background_in_float32_too():
    templates = mnist1d.stretched_templates(SETTINGS)
    np.testing.assert_array_equal(templates.astype(np.float32) == 0, templates == 0)
    tiny = np.abs(templates[templates != 0]).min()
    assert tiny > 1e3 * np.finfo(np.float32).tiny  # no multiple of it is flushed to zero


def test_the_largest_chances_stay_in_range():
    largest = np.float32(1) - np.finfo(np.float32).epsneg
    for count in (10, 25, 48):
        assert int((jnp.float32(largest) * count).astype(jnp.int32)) == count - 1


def test_every_coordinate_is_distributed_as_published(drawn, generated):
    assert rejected(kolmogorov_smirnov(drawn, generated)) == 0


def test_means_of_the_classes_are_the_published(drawn, generated):
    pairs = zip(by_class(drawn), by_class(generated), strict=True)
    assert rejected([z_test(a, b) for a, b in pairs]) == 0


def test_covariances_of_the_classes_are_the_published(drawn, generated):
    assert rejected(covariance_test(drawn, generated)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_the_tests_would_see_another_setting(drawn, change):
    changed = mnist1d.generate(mnist1d.Settings(**change), COUNT)[1]
    found = kolmogorov_smirnov(drawn, changed), covariance_test(drawn, changed)
    assert sum(map(rejected, found)) > 0


def test_classes_are_equally_likely(drawn):
    assert stats.chisquare(np.bincount(drawn.labels, minlength=10)).pvalue > LEVEL


def test_chances_are_what_the_published_code_draws():
    label, size, amplitude, shift, slope, noise = jax.jit(jax.vmap(chances))(keys(COUNT, seed=2))
    p_values = [stats.kstest(x, "uniform").pvalue for x in (size, amplitude, slope)]
    points = np.asarray(noise).reshape(COUNT, -1)
    p_values += [stats.kstest(point, "norm").pvalue for point in points.T]
    for chosen, among in ((label, 10), (shift, 48), (np.floor(size * 25).astype(int), 25)):
        counts = np.bincount(chosen, minlength=among)
        assert len(counts) == among
        p_values.append(stats.chisquare(counts).pvalue)
    columns = np.column_stack([label, size, amplitude, shift, slope, points])
    correlations = np.corrcoef(columns.T)[np.triu_indices(columns.shape[1], 1)]
    assert rejected(p_values) == 0
    assert rejected(2 * stats.norm.sf(np.abs(correlations) * np.sqrt(COUNT))) == 0


def test_a_key_decides_everything(drawn):
    again = sample(COUNT)
    np.testing.assert_array_equal(again.inputs, drawn.inputs)
    np.testing.assert_array_equal(again.labels, drawn.labels)
    assert len(set(map(bytes, drawn.inputs))) == COUNT
    assert not set(map(bytes, sample(1000, seed=1).inputs)) & set(map(bytes, drawn.inputs))


def test_no_bit_depends_on_the_width_of_vmap(drawn):
    few = keys(COUNT)[:60]
    single = jax.jit(draw)
    alone = [single(key) for key in few]
    in_blocks = jax.jit(jax.vmap(jax.vmap(draw)))(few.reshape(4, 15))
    for i in range(2):
        expected = (drawn.inputs, drawn.labels)[i][:60]
        np.testing.assert_array_equal([pair[i] for pair in alone], expected)
        np.testing.assert_array_equal(in_blocks[i].reshape(expected.shape), expected)


def test_jit_changes_nothing_but_the_last_digit(drawn):
    # Compiled code fuses a product and a sum into one rounding.
    eager = [draw(key) for key in keys(COUNT)[:10]]
    np.testing.assert_array_equal([label for _, label in eager], drawn.labels[:10])
    np.testing.assert_allclose(
        [inputs for inputs, _ in eager], drawn.inputs[:10], rtol=0, atol=1e-6
    )


def test_float32_stays_float32_in_a_program_of_float64(drawn):
    with jax.enable_x64(True):
        inputs, label = jax.jit(draw)(keys(COUNT)[3])
    assert (inputs.dtype, inputs.shape) == (np.float32, (40,))
    assert (label.dtype, label.shape) == (np.int32, ())
    np.testing.assert_allclose(inputs, drawn.inputs[3], rtol=0, atol=1e-6)


def test_is_judged_on_the_signals_of_mnist1d():
    infinite, finite = load("mnist1d_infinite"), load("mnist1d", test_examples=10_000)
    splits = [infinite.train, infinite.validation, infinite.test]
    assert [len(split) for split in splits] == [3200, 800, 10_000]
    assert infinite.checksum == finite.checksum
    assert (infinite.mean, infinite.std) == (finite.mean, finite.std)
    assert (infinite.name, infinite.kind) == ("mnist1d_infinite", "signal")
    assert (infinite.generator, finite.generator) == (draw, None)
    assert "without end" in infinite.source


def test_the_measured_splits_are_what_they_were():
    checksum = load("mnist1d_infinite").checksum
    assert checksum == "956a65d66330afdfd85edcb91b357e1d5f21fead8323c2955748688d59f27c6e"


def test_the_test_set_can_have_another_size():
    dataset = load("mnist1d_infinite", validation_fraction=0, test_examples=30)
    assert (len(dataset.train), len(dataset.test)) == (4000, 30)


def test_no_measured_signal_is_ever_drawn(drawn):
    dataset = load("mnist1d_infinite")
    measured = np.concatenate([s.inputs for s in (dataset.train, dataset.validation, dataset.test)])
    assert not set(map(bytes, measured)) & set(map(bytes, drawn.inputs))


@pytest.mark.parametrize("count", [-1, 100_001])
def test_refuses_impossible_numbers_of_test_examples(count, refusal):
    line = refusal(load, "mnist1d_infinite", test_examples=count)
    assert line.startswith(f"--test_examples {count}: must be 1 .. 100000")


@pytest.mark.parametrize(("option", "value"), [("window", 32), ("data_dir", "d")])
def test_refuses_options_of_other_datasets(option, value, refusal):
    assert "does not apply" in refusal(load, "mnist1d_infinite", **{option: value})
