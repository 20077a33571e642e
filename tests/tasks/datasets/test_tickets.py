"""Generated support tickets: what is drawn, and what the grammar promises."""

import numpy as np
import pytest

from minima.tasks.datasets import load, tickets

SETTINGS = tickets.Settings()


@pytest.fixture(scope="module")
def dataset():
    return load("tickets")


def test_the_tickets_are_what_they_were(dataset):
    splits = (dataset.train, dataset.validation, dataset.test)
    assert [len(split) for split in splits] == [960, 240, 1000]
    assert dataset.checksum == "6765e191c75b5d19e223fb72d3b88224ff8297dfc7da717db07d7c62f1c491a1"
    assert (dataset.kind, dataset.task, dataset.num_classes) == ("tokens", "classification", 4)
    assert dataset.input_shape == (tickets.LENGTH,)
    assert dataset.train.inputs.dtype == np.uint8
    assert dataset.stand_in


def test_every_token_is_a_word_and_padding_is_on_the_left(dataset):
    words = tickets.vocabulary()
    assert dataset.vocabulary == words
    assert (words[0], list(words[1:])) == (tickets.PADDING, sorted(set(words[1:])))
    inputs = np.concatenate([dataset.train.inputs, dataset.test.inputs])
    assert inputs.max() < len(words)
    assert (inputs[:, -1] > 0).all()
    assert (np.diff((inputs > 0).astype(int), axis=1) >= 0).all()


def test_all_classes_come_about_equally_often(dataset):
    counts = np.bincount(dataset.test.labels, minlength=4)
    assert counts.min() > 200


def test_the_same_seed_writes_the_same_and_another_does_not(dataset):
    again = tickets.load_tickets(SETTINGS, 0.2)
    other = tickets.load_tickets(tickets.Settings(seed=SETTINGS.seed + 5), 0.2)
    assert again.checksum == dataset.checksum != other.checksum


def test_without_noise_a_ticket_holds_a_complaint_of_its_class():
    random = np.random.RandomState(0)
    plain = tickets.Settings(ambiguous=0.0, aside=0.0, slips=0.0, misfiled=0.0)
    starts = {
        0: ("charged", "refund", "invoice", "card", "price", "tax"),
        1: ("crashes", "error", "page", "sync", "screen", "uploads"),
        2: ("sign", "password", "email", "code", "profile", "team"),
        3: ("opening", "offer", "manual", "version", "sales", "like"),
    }
    for label, marks in starts.items():
        for _ in range(50):
            words = tickets.write(label, random, plain)
            assert set(words) & set(marks), words
            assert not any("{" in word for word in words)


def test_ambiguous_tickets_say_the_same_in_both_classes():
    settings = tickets.Settings(ambiguous=1.0, aside=0.0)
    texts = []
    for label in (0, 1):
        random = np.random.RandomState(3)
        texts.append({" ".join(tickets.write(label, random, settings)) for _ in range(300)})
    assert any("payment page" in text for text in texts[0])
    assert any("payment page" in text for text in texts[1])


@pytest.mark.parametrize("option", [{"test_examples": 10}, {"window": 32}, {"data_dir": "d"}])
def test_options_of_other_data_are_refused(option, refusal):
    line = refusal(load, "tickets", **option)
    assert "does not apply to --dataset 'tickets'" in line
