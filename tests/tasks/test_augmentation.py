"""Augmentations against the list of everything they may turn an example into."""

import itertools

import jax
import numpy as np
import pytest
from scipy import stats

from minima.runtime.errors import UserError
from minima.tasks.augmentation import AUGMENTATIONS, augment, check

SURE = 1e-9  # chance that a right program fails one statistical test on fresh keys

N = 8000  # examples in every test, so that all share what is compiled
augmented = jax.jit(augment, static_argnums=(0, 1))

# Kind, shape of an example, farthest shift along each axis.
CASES = [
    ("image", (28, 28), (2, 2)),
    ("image", (14, 45), (1, 3)),
    ("image", (5, 3, 3), (1, 1)),
    ("signal", (40,), (2,)),
    ("signal", (100,), (7,)),
]
IDS = [f"{kind}{shape}" for kind, shape, _ in CASES]


def picture(shape, dtype=np.uint8):
    """No zeros, and no two values that are neighbours by accident."""
    values = np.random.default_rng(0).integers(1, 256, shape)
    return values.astype(dtype)


def shifted(x, by):
    """x moved by whole pixels, zeros where nothing came from."""
    result = np.zeros_like(x)
    here = tuple(slice(max(0, b), min(n, n + b)) for b, n in zip(by, x.shape, strict=False))
    there = tuple(slice(max(0, -b), min(n, n - b)) for b, n in zip(by, x.shape, strict=False))
    result[here] = x[there]
    return result


def which(results, possible):
    """For each result the number of the possible ones that it equals; each must equal one."""
    table = {p.tobytes(): i for i, p in enumerate(possible)}
    assert len(table) == len(possible), "two outcomes look alike: the test can't tell them apart"
    return np.array([table.get(r.tobytes(), -1) for r in results])


def shifts(x, reach):
    return [shifted(x, by) for by in itertools.product(*(range(-r, r + 1) for r in reach))]


@pytest.fixture(scope="module")
def keys():
    return jax.random.split(jax.random.key(11), N)


@pytest.fixture(scope="module")
def draw(keys):
    """draw(augmentation, kind, x) -> one example augmented under N keys."""

    def call(augmentation, kind, x):
        return np.asarray(augmented(augmentation, kind, np.array([x] * N), keys))

    return call


def test_none_is_the_identity(keys):
    x = picture((N, 5))
    for kind in ("image", "signal", "vector", "tokens"):
        assert augment("none", kind, x, keys) is x


@pytest.mark.parametrize(("kind", "shape", "reach"), CASES, ids=IDS)
def test_a_shift_is_a_translation_and_all_are_equally_likely(draw, kind, shape, reach):
    x = picture(shape)
    possible = shifts(x, reach)
    results = draw("shift", kind, x)
    found = which(results, possible)
    assert found.min() >= 0
    assert stats.chisquare(np.bincount(found, minlength=len(possible))).pvalue > SURE


@pytest.mark.parametrize(("kind", "shape", "reach"), CASES[:3], ids=IDS[:3])
def test_shift_flip_also_mirrors_about_half(draw, kind, shape, reach):
    x = picture(shape)
    straight = shifts(x, reach)
    possible = straight + [np.ascontiguousarray(s[:, ::-1]) for s in straight]
    results = draw("shift_flip", kind, x)
    found = which(results, possible)
    assert found.min() >= 0
    # Uniform over all: mirrored half of the time, whatever the shift.
    assert stats.chisquare(np.bincount(found, minlength=len(possible))).pvalue > SURE
    low, high = stats.binom.ppf([SURE / 2, 1 - SURE / 2], len(found), 0.5)
    assert low <= np.sum(found >= len(straight)) <= high


@pytest.mark.parametrize(
    ("augmentation", "kind", "shape"),
    [("shift", "signal", (40,)), ("shift", "image", (28, 28)), ("shift_flip", "image", (5, 3, 3))],
)
def test_an_example_depends_on_its_own_key_alone(keys, augmentation, kind, shape):
    inputs = picture((N, *shape))
    whole = np.asarray(augmented(augmentation, kind, inputs, keys))
    assert not np.array_equal(whole, inputs)
    order = np.random.default_rng(1).permutation(N)
    again = augmented(augmentation, kind, inputs[order], keys[order])
    np.testing.assert_array_equal(again, whole[order])


def test_a_microbatch_sees_the_pictures_of_the_batch(keys):
    inputs = picture((N, 5, 3, 3))
    whole = augmented("shift_flip", "image", inputs, keys)
    for part in (slice(0, 1000), slice(1000, 2000)):
        np.testing.assert_array_equal(
            augmented("shift_flip", "image", inputs[part], keys[part]), whole[part]
        )


@pytest.mark.parametrize("augmentation", list(AUGMENTATIONS))
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 2)])
def test_raw_inputs_keep_their_dtype_and_shape(keys, augmentation, dtype, shape):
    inputs = jax.ShapeDtypeStruct((N, *shape), dtype)
    result = jax.eval_shape(lambda x: augment(augmentation, "image", x, keys), inputs)
    assert (result.dtype, result.shape) == (dtype, inputs.shape)


REFUSED = [("shift", "vector"), ("shift_flip", "vector"), ("shift_flip", "signal")]
REFUSED += [("shift", "tokens"), ("shift_flip", "tokens")]


@pytest.mark.parametrize("kind", ["image", "signal", "vector", "tokens"])
@pytest.mark.parametrize("augmentation", list(AUGMENTATIONS))
def test_what_does_not_fit_is_refused_in_one_line(augmentation, kind):
    if (augmentation, kind) not in REFUSED:
        check(augmentation, kind)
        return
    with pytest.raises(UserError) as caught:
        check(augmentation, kind)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert line.startswith(f"--augmentation={augmentation}: needs image")
    assert f"this dataset holds {kind.removesuffix('s')}s; " in line
    assert line.endswith("use --augmentation=none")
