"""Long-range coherence as a user runs it, and its score on music whose coherence is known."""

import json
import wave
from functools import partial

import numpy as np
import pytest

from minima.claims.claim import FAIL, INCONCLUSIVE, PASS
from minima.runtime.errors import UserError
from minima.tasks import datasets
from minima.tasks.datasets import ambient
from parts.long_range_coherence.claims import judge
from parts.long_range_coherence.coherence import Lag, Source, Written, excess
from parts.long_range_coherence.config import (
    CNN,
    LSTM,
    MODELS,
    PRESETS,
    SECONDS,
    TRANSFORMER,
    CoherenceConfig,
    MusicConfig,
    SeedConfig,
)
from parts.long_range_coherence.sound import RATE, frequency, to_wav

FIGURES = ("coherence.png", "coherence.svg", "pieces.png", "claims.png")


@pytest.fixture(scope="module")
def coherence(python, script):
    return partial(python, script.parent / "long_range_coherence.py")


@pytest.fixture(scope="module")
def smoke(coherence, run_path, tmp_path_factory):
    """The smoke preset, run once: what it printed, where it ran, the run."""
    cwd = tmp_path_factory.mktemp("coherence")
    result = coherence("--preset=smoke", cwd=cwd, timeout=300)
    assert (result.returncode, result.stderr.count("rror")) == (0, 0)
    return result.stdout, cwd, run_path(result.stdout, cwd)


@pytest.fixture(scope="module")
def source():
    return Source.of(datasets.load("ambient", window=150), "ambient", 3)


# --- the score -------------------------------------------------------------------------------


def test_the_music_itself_scores_one_and_noise_nothing(source):
    pieces = ambient.draw(400, 151, ambient.Settings(), 99).astype(np.int32)
    fresh = source.coherence(pieces[None])[0]
    np.testing.assert_allclose(fresh, 1, atol=0.03)
    np.testing.assert_allclose(source.shuffled, 0, atol=0.02)
    noise = np.random.default_rng(0).integers(0, 36, (1, 400, 151))
    np.testing.assert_allclose(source.coherence(noise)[0], 0, atol=0.02)


def test_monotony_is_not_coherence(source):
    assert (source.coherence(np.full((1, 5, 151), 7)) == 0).all()


def test_each_lag_sees_its_own_loop(source):
    pieces = ambient.draw(300, 151, ambient.Settings(), 5).astype(np.int32)
    rng = np.random.default_rng(1)
    broken = pieces.copy()
    theme = broken[:, 2::3]
    broken[:, 2::3] = rng.permuted(theme, axis=1)  # the loop of 30 s
    found = source.coherence(broken[None])[0]
    np.testing.assert_allclose(found, [1, 1, 0], atol=0.05)


def test_the_excess_by_hand():
    # Of a b a b a, all pairs two apart are equal; of ten pairs, four are.
    assert excess(np.array([0, 1, 0, 1, 0]), Lag(1, 2)) == pytest.approx(1 - 4 / 10)
    assert excess(np.array([0, 1, 0, 1, 0]), Lag(1, 1)) == pytest.approx(0 - 4 / 10)


def test_music_that_repeats_nothing_is_refused(tmp_path):
    letters = np.random.default_rng(0).choice(list("abcdefgh"), 4000)
    (tmp_path / "noise.txt").write_text("".join(letters))
    name = f"text:{tmp_path / 'noise.txt'}"
    with pytest.raises(UserError, match="do not come back after 1 s") as caught:
        Source.of(datasets.load(name, window=150), name, 3)
    assert str(caught.value).startswith("--dataset=text:")


def test_a_text_of_notes_is_scored_in_one_voice(tmp_path):
    loop = "abcdefghijklmnopqrstuvwxyzabcd"[:30]
    (tmp_path / "notes.txt").write_text(loop * 100)
    name = f"text:{tmp_path / 'notes.txt'}"
    # One note a second: after 30 s all is the same again, after 1 s nothing.
    with pytest.raises(UserError, match="after 1 s"):
        Source.of(datasets.load(name, window=60), name, 1)


# --- claims ----------------------------------------------------------------------------------


def planted(cnn, lstm, transformer, seeds=5):
    luck = np.random.default_rng(0).normal(0, 0.01, (3, seeds, len(SECONDS)))
    pieces = np.zeros((seeds, 1, 5), int)
    return {
        name: Written(pieces, np.array(level) + noise, np.full(seeds, 1.0), 0.01, 9, 0)
        for name, level, noise in zip(
            (CNN, LSTM, TRANSFORMER), (cnn, lstm, transformer), luck, strict=True
        )
    }


def verdicts(found, least=()):
    return {claim.id: verdict.verdict for claim, verdict in judge(found, dict(least), ())}


def test_what_the_course_says_passes():
    found = planted([0.9, 0, 0], [0.9, 0.5, 0.1], [0.9, 0.8, 0.7])
    assert set(verdicts(found, {CNN: 0.98}).values()) == {PASS}


def test_what_it_does_not_say_fails():
    same = verdicts(planted([0.9] * 3, [0.9] * 3, [0.9] * 3), {CNN: 0.5})
    assert same["1 s: alike"] == PASS
    assert {same[name] for name in same if name != "1 s: alike"} == {FAIL}
    apart = verdicts(planted([0.4, 0, 0], [0] * 3, [0.9, 0.8, 0.7]))
    assert apart["1 s: alike"] == FAIL
    assert "the CNN is trained well" not in apart  # where nobody knows the best


def test_one_seed_decides_nothing():
    found = planted([0.9, 0, 0], [0.9, 0, 0], [0.9] * 3, seeds=1)
    assert set(verdicts(found).values()) == {INCONCLUSIVE}


# --- sound -----------------------------------------------------------------------------------


def test_a_note_sounds_at_its_pitch(tmp_path):
    a4 = 12 + 9
    assert frequency(a4) == pytest.approx(440)
    assert frequency(a4 - 12) == pytest.approx(880)  # the voice above
    (tmp_path / "a.wav").write_bytes(to_wav(np.array([a4]), 3))
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getnchannels(), file.getframerate()) == (1, RATE)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    spectrum = np.abs(np.fft.rfft(samples))
    assert spectrum.argmax() * RATE / len(samples) == pytest.approx(440, abs=1)


# --- the command -----------------------------------------------------------------------------


@pytest.mark.slow
def test_everything_is_there(smoke):
    out, _, run = smoke
    for name in FIGURES:
        assert (run / "figures" / name).stat().st_size > 1000
    verdict = json.loads((run / "verdict.json").read_text())
    assert set(verdict["runs"]) == set(MODELS)
    assert len(verdict["verdicts"]) == 6
    with np.load(run / "pieces" / "pieces.npz") as pieces:
        shapes = {name: pieces[name].shape for name in pieces.files}
        firsts = [pieces[name][0, :, 0] for name in MODELS]
    assert shapes == {"source": (500, 121), **dict.fromkeys(MODELS, (2, 2, 121))}
    for first in firsts[1:]:
        np.testing.assert_array_equal(first, firsts[0])
    for name in ("source", *MODELS):
        with wave.open(str(run / "pieces" / f"{name}.wav")) as file:
            assert file.getnframes() > 40 * RATE
    assert "stand-in" in out
    for info in verdict["runs"].values():
        assert json.loads((run.parent / info / "run.json").read_text())["compilations"] <= 1


@pytest.mark.slow
def test_the_same_command_changes_nothing(coherence, smoke):
    out, cwd, run = smoke
    before = {path: path.read_bytes() for path in (run / "pieces").iterdir()}
    before[run / "verdict.json"] = (run / "verdict.json").read_bytes()
    again = coherence("--preset=smoke", cwd=cwd, timeout=300)
    assert again.returncode == 0
    assert {path: path.read_bytes() for path in before} == before
    assert again.stdout.splitlines()[-1] == out.splitlines()[-1]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--dataset=fashion_mnist"], "--dataset=fashion_mnist: must be music"),
        (["--dataset=text:nothing.txt"], "does not exist"),
        (["--notes_per_second=4"], "--notes_per_second=4"),
        (["--window=100"], "--window=100"),
        (["--tuning_seeds=3"], "--tuning_seeds=3"),
        (["--snapshots=0"], "--snapshots=0"),
        (["--temperature=0"], "--temperature"),
    ],
)
@pytest.mark.slow
def test_what_does_not_fit_is_one_line(coherence, one_line, tmp_path, flags, says):
    result = coherence(*flags, cwd=tmp_path, timeout=60)
    assert result.returncode == 2
    assert says in one_line(result.stderr)
    assert not list(tmp_path.iterdir())


def test_networks_are_about_as_large():
    from minima.sweep.plan import load_task

    sizes = [
        load_task(each)[0].model.count_parameters() for each in CoherenceConfig().sweeps().values()
    ]
    assert max(sizes) < 1.1 * min(sizes)


def test_wrong_combinations_are_refused():
    with pytest.raises(UserError, match="seed 3 is one"):
        CoherenceConfig(runs=SeedConfig(tuning_seeds=(3,)))
    with pytest.raises(UserError, match="--window=90"):
        CoherenceConfig(music=MusicConfig(window=90))
    assert set(PRESETS) == {"smoke", "laptop", "gpu", "pod"}
