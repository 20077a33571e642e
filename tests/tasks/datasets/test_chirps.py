"""Made-up calls are the same everywhere; recordings are read, or one line says why not."""

import wave

import numpy as np
import pytest

from minima.runtime.errors import UserError
from minima.tasks.datasets import load
from minima.tasks.datasets.chirps import SPECIES, call, generate
from minima.tasks.datasets.spectrogram import RATE, SAMPLES, loudest_second, spectrogram


def tone(hertz, seconds=1.0, rate=RATE, loudness=8000.0):
    return loudness * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def record(path, samples, rate=RATE, channels=1, width=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        data = np.repeat(samples.astype("<i2"), channels)
        file.writeframes(data.tobytes() if width == 2 else bytes(len(data) * width))
    return path


@pytest.fixture
def recordings(tmp_path):
    """Two species, six recordings each: a low and a high tone."""
    for name, hertz in (("owl", 700.0), ("wren", 5000.0)):
        for i in range(6):
            record(tmp_path / name / f"{i}.wav", tone(hertz + 10 * i))
    return tmp_path


# --- spectrograms ----------------------------------------------------------------------------


@pytest.mark.parametrize("hertz", [312.5, 2062.5, 7937.5])
def test_a_tone_lies_in_the_band_of_its_pitch(hertz):
    image = spectrogram(tone(hertz))
    assert (image.shape, image.dtype, image.max()) == ((64, 64), np.uint8, 255)
    assert set(image.argmax(axis=0)) == {int(hertz // 125)}


def test_decibels_below_the_loudest_point_whatever_the_unit():
    loud, faint = tone(1062.5), tone(3062.5)
    image = spectrogram(loud + 0.1 * faint)  # a tenth of the amplitude: 20 dB of 60
    assert abs(int(image[24].max()) - 170) <= 1
    np.testing.assert_array_equal(image, spectrogram(1e-3 * (loud + 0.1 * faint)))
    assert not spectrogram(np.zeros(SAMPLES)).any()


def test_of_a_long_recording_the_loudest_second_counts():
    sound = np.concatenate([0.01 * tone(500, 2), tone(3062.5), 0.01 * tone(500, 2)])
    np.testing.assert_array_equal(loudest_second(sound), sound[2 * RATE : 3 * RATE])
    short = loudest_second(np.ones(100))
    assert (len(short), short.sum()) == (SAMPLES, 100)


# --- made-up calls ---------------------------------------------------------------------------


def test_calls_are_the_same_on_every_machine_and_marked_as_a_stand_in():
    data = load("chirps")
    assert (len(data.train), len(data.validation), len(data.test)) == (960, 240, 600)
    assert (data.stand_in, data.kind, data.num_classes) == (True, "image", len(SPECIES))
    assert data.checksum == "95d1d00a9060a2790558f58fc742472d456ab824af75db918ed92b0902037d26"
    assert set(np.bincount(data.test.labels)) == {75}


def test_another_seed_makes_other_calls_and_a_longer_set_begins_with_the_shorter():
    short, long, other = (generate(n, 8, seed)[0].inputs for n, seed in ((8, 1), (16, 1), (8, 2)))
    np.testing.assert_array_equal(short, long[:8])
    assert not np.array_equal(short, other)


def test_a_call_moves_as_its_species_does():
    for species, sign in ((SPECIES[0], 1), (SPECIES[1], -1)):
        image = spectrogram(call(species, np.random.RandomState(5)))
        sung = np.flatnonzero(image.max(axis=0) > 235)  # the whistle is 10 dB below, and no louder
        assert len(sung) > 15
        assert sign * np.polyfit(sung, image.argmax(axis=0)[sung], 1)[0] > 0.1


# --- recordings ------------------------------------------------------------------------------


def test_recordings_are_no_stand_in_and_a_quarter_is_for_the_test(recordings):
    data = load("chirps", data_dir=str(recordings), validation_fraction=0.0)
    assert (data.stand_in, data.num_classes, data.source) == (False, 2, "recordings of owl, wren")
    assert (len(data.train), len(data.test)) == (8, 4)
    bands = data.train.inputs.astype(int).sum(axis=2).argmax(axis=1)
    np.testing.assert_array_equal(bands > 20, data.train.labels == 1)


def test_other_rates_and_channels_sound_the_same(tmp_path, recordings):
    plain = load("chirps", data_dir=str(recordings), validation_fraction=0.0)
    for path in recordings.glob("*/*.wav"):
        hertz = (700.0 if path.parent.name == "owl" else 5000.0) + 10 * int(path.stem)
        record(path, tone(hertz, rate=44_100), rate=44_100, channels=2)
    other = load("chirps", data_dir=str(recordings), validation_fraction=0.0)
    loudest = [d.train.inputs[:, :, 32].argmax(axis=1) for d in (plain, other)]
    np.testing.assert_array_equal(*loudest)


def _empty(folder):
    for path in folder.glob("owl/*"):
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_empty, "holds 1 folders with .wav files"),
        (lambda folder: [p.unlink() for p in sorted(folder.glob("owl/*"))[4:]], "has 4 recordings"),
        (lambda folder: (folder / "owl/0.wav").write_bytes(b"no sound"), "owl/0.wav can't be read"),
        (lambda folder: record(folder / "owl/0.wav", tone(9), width=1), "has 8 bits a sample"),
        (lambda folder: record(folder / "owl/0.wav", np.zeros(0)), "holds no sound"),
    ],
)
def test_what_is_no_collection_of_recordings_is_one_line(recordings, spoil, message):
    spoil(recordings)
    with pytest.raises(UserError, match=message) as error:
        load("chirps", data_dir=str(recordings))
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("--data_dir")
