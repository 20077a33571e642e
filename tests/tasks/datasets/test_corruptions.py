"""Corruptions: nested, seeded, in their dtype and shape, and each what its name says."""

import itertools

import numpy as np
import pytest

from minima.runtime.errors import UserError
from minima.tasks import datasets
from minima.tasks.datasets import corruptions
from minima.tasks.datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from minima.tasks.datasets.dataset import sha256

IMAGES = datasets.load("fashion_mnist").test.inputs[:60]
SIGNALS = datasets.load("mnist1d").test.inputs[:60]
OF = {"image": IMAGES, "signal": SIGNALS}
ALL = [(kind, name) for kind, found in CORRUPTIONS.items() for name in found]
# Of all corruptions at severity 3 of the above, so that they are the same on every machine.
CHECKSUMS = {
    "image": "8e67eb0b5cc1a9fb75c63c4773e2aacab487141f1a0de685da0970a481c844f5",
    "signal": "2c20d6cc99607933bd91b696a74146ce8c8060ec2f7b144ab67a3c3201e41bc6",
}


def changed(kind, name, severity, count=60, **options):
    return corrupt(kind, OF[kind][:count], name, severity, **options)


def distance(kind, name, severity):
    inputs = OF[kind].astype(float)
    return float(np.abs(changed(kind, name, severity) - inputs).mean() / inputs.std())


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_there_are_ten_or_more_and_they_are_the_same_everywhere(kind):
    assert len(CORRUPTIONS[kind]) >= 10
    made = [
        changed(kind, name, 3, units=(0.0, 255.0 if kind == "image" else 1.0))
        for name in CORRUPTIONS[kind]
    ]
    assert sha256(*made) == CHECKSUMS[kind]


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_a_corruption_grows_with_severity_and_keeps_form(kind, name):
    found = [distance(kind, name, severity) for severity in SEVERITIES]
    # A cyclic shift and a gain of random sign need not lie further away in every example.
    assert all(later > 0.95 * earlier for earlier, later in itertools.pairwise(found))
    assert 0 < found[0] < found[-1]
    again = changed(kind, name, 5)
    assert again.dtype == OF[kind].dtype
    assert again.shape == OF[kind].shape
    assert np.isfinite(again).all()
    assert np.array_equal(again, changed(kind, name, 5))


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_an_example_is_corrupted_alike_whatever_follows_it(kind, name, monkeypatch):
    units = (0.0, 255.0) if kind == "image" else (0.0, 1.0)
    whole = changed(kind, name, 4, units=units)
    assert np.array_equal(changed(kind, name, 4, count=20, units=units), whole[:20])
    monkeypatch.setattr(corruptions, "_CHUNK", 7)
    assert np.array_equal(changed(kind, name, 4, units=units), whole)


def test_colours_channels_and_floating_images_are_taken():
    colour = np.stack([IMAGES, IMAGES, IMAGES], axis=-1)
    for name in ("fog", "rotation", "pixelate", "occlusion", "impulse_noise"):
        made = corrupt("image", colour, name, 3)
        assert made.shape == colour.shape
        assert np.array_equal(made[..., 0], made[..., 2])
    floating = IMAGES.astype(np.float32) / 255
    assert np.allclose(
        corrupt("image", floating, "shear", 3, units=(0.0, 1.0)) * 255,
        corrupt("image", IMAGES, "shear", 3),
        atol=0.51,
    )
    two = np.stack([SIGNALS, -SIGNALS], axis=-1)
    assert corrupt("signal", two, "gaps", 3).shape == two.shape


def test_noise_has_the_deviation_it_says():
    flat = np.zeros((400, 40), np.float32)
    for name in ("noise", "correlated_noise"):
        level = CORRUPTIONS["signal"][name].levels[4]
        made = corrupt("signal", flat, name, 5, units=(0.0, 1.0))
        assert made.std() == pytest.approx(level, rel=0.02)
    grey = np.full((50, 20, 20), 0.5)
    made = corrupt("image", grey, "gaussian_noise", 2, units=(0.0, 1.0))
    assert made.std() == pytest.approx(0.12, rel=0.02)


def test_what_moves_only_moves():
    signals = corrupt("signal", SIGNALS, "translation", 3)
    assert np.array_equal(np.sort(signals, axis=1), np.sort(SIGNALS, axis=1))
    # A picture that is one colour has nothing to lose by geometry or blur.
    flat = np.full((5, 12, 16, 3), 77, np.uint8)
    for name in ("rotation", "translation", "shrinking", "shear", "motion_blur", "pixelate"):
        assert np.array_equal(corrupt("image", flat, name, 5), flat)


def test_a_corrupted_test_set_has_a_name():
    base, foggy = datasets.load("fashion_mnist"), datasets.load("fog3:fashion_mnist")
    assert np.array_equal(foggy.test.inputs, corrupt("image", base.test.inputs, "fog", 3))
    assert np.array_equal(foggy.train.inputs, base.train.inputs)
    assert (foggy.mean, foggy.std, foggy.name) == (base.mean, base.std, "fog3:fashion_mnist")
    warped = datasets.load("time_warp5:mnist1d")
    assert not np.array_equal(warped.test.inputs, datasets.load("mnist1d").test.inputs)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("noise3:fashion_mnist", "corruption 'noise': of images there are gaussian_noise"),
        ("fog6:fashion_mnist", "severity 6: must be one of 1 to 5"),
        ("fog1:tickets", "corruption 'fog': is of images and signals, not of 'tokens'"),
    ],
)
def test_what_does_not_fit_is_one_line(name, said):
    with pytest.raises(UserError, match=said):
        datasets.load(name)
