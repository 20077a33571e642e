import numpy as np
import pytest

from minima.tasks.datasets import ambient, load

SETTINGS = ambient.Settings()


@pytest.fixture(scope="module")
def pieces():
    return ambient.draw(300, 151, SETTINGS, 1)


def test_the_source_is_what_it_was():
    data = load("ambient", window=20, validation_fraction=0.1)
    assert [len(s) for s in (data.train, data.validation, data.test)] == [5400, 600, 500]
    assert data.checksum == "52ddae0cbaed6dc13b510b8cca11337b992d4b0ebf9d7320ed8372cd4a34be24"
    assert (data.kind, data.task, data.num_classes) == ("tokens", "language_model", 36)
    assert data.stand_in
    assert data.vocabulary[0] == "C5"
    assert data.vocabulary[-1] == "B3"
    np.testing.assert_array_equal(data.train.inputs[:, 1:], data.train.labels[:, :-1])


def test_a_piece_keeps_to_its_key_and_its_voices_to_their_octaves(pieces):
    assert (pieces // 12 == np.arange(151) % 3).all()
    for piece in pieces[:20]:
        pitches = {*(piece % 12).tolist()}
        assert any(pitches <= {(key + step) % 12 for step in ambient.SCALE} for key in range(12))


@pytest.mark.parametrize("voice", range(3))
def test_a_voice_repeats_its_loop_as_often_as_it_says(pieces, voice):
    notes = pieces[:, voice::3]
    again = (notes[:, ambient.LOOPS[voice] :] == notes[:, : -ambient.LOOPS[voice]]).mean()
    expected = 1 - SETTINGS.change + SETTINGS.change / len(ambient.SCALE)
    assert again == pytest.approx(expected, abs=4 * np.sqrt(0.08 * 0.92 / (300 * 20)))


def test_the_losses_are_bayes_rule(pieces):
    # All keys alike beforehand; in each, notes are independent given the loops.
    piece = pieces[0]
    total = 0.0
    for key in range(12):
        scale = [(key + step) % 12 for step in ambient.SCALE]
        chance = 1.0
        for t, note in enumerate(piece):
            fresh = (note % 12 in scale) / 5
            lag = 3 * ambient.LOOPS[t % 3]
            kept = t >= lag and note == piece[t - lag]
            chance *= fresh if t < lag else 0.1 * fresh + 0.9 * kept
        total += chance / 12
    found = ambient.source_losses(piece[None], SETTINGS).sum()
    assert found == pytest.approx(-np.log(total), rel=1e-9)


def test_who_hears_less_loses_more(pieces):
    losses = [ambient.source_losses(pieces, SETTINGS, m)[:, 90:].mean() for m in (0, 30, 17, 2)]
    assert losses == sorted(losses)
    assert len({round(loss, 6) for loss in losses}) == 4
    # Without a loop in reach and with little to tell the key from, a note is one of 5 to 12.
    assert np.log(5) < losses[-1] < np.log(12)


def test_one_note_tells_as_much_of_the_key_as_it_does():
    # Each of the five keys that hold the first note is as likely; some hold the second, too.
    pieces = np.array([[0, 12 + 7]])  # C, then G
    losses = ambient.source_losses(pieces, SETTINGS, memory=1)[0]
    both = sum({0, 7} <= {(key + step) % 12 for step in ambient.SCALE} for key in range(12))
    np.testing.assert_allclose(losses, [np.log(12), -np.log(both / 5 / 5)])
