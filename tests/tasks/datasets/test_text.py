import gzip

import numpy as np
import pytest

from minima.tasks.datasets import load, text


def write(tmp_path, content, name="mine.txt"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return f"text:{path}"


def letters(n, seed=0, alphabet="abcdefgh \n"):
    return "".join(np.random.RandomState(seed).choice(list(alphabet), n))


def spell(dataset, tokens):
    return "".join(dataset.vocabulary[token] for token in tokens.ravel())


def test_the_embedded_text_is_what_it_was():
    dataset = load("kjv")
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [4907, 1227, 682]
    assert dataset.checksum == "c75ad847fe87b14740b3756cc681f8e245692aaaf726400379e90d6ef5951c1b"
    assert (dataset.kind, dataset.task) == ("tokens", "language_model")
    assert (dataset.input_shape, dataset.num_classes) == ((64,), 61)
    assert (dataset.train.inputs.dtype, dataset.train.labels.dtype) == (np.uint8, np.int32)
    assert (dataset.mean, dataset.std, dataset.entropy) == (0, 1, None)
    assert not dataset.stand_in
    assert dataset.licence == "public domain"
    assert len(dataset.vocabulary) == 61
    assert spell(dataset, dataset.train.inputs).startswith("The book of the generation of Jesus")


def test_its_notice_travels_with_it():
    notice = (text.KJV.parent / "NOTICE").read_text()
    assert text.KJV.name in notice
    assert "public domain" in notice


def test_a_damaged_package_is_refused(tmp_path, monkeypatch, refusal):
    other = tmp_path / "kjv_gospels.txt.gz"
    monkeypatch.setattr(text, "KJV", other)
    whole = gzip.compress(b"In the beginning" * 99)
    flipped = whole[:20] + bytes([whole[20] ^ 255]) + whole[21:]
    for data in (None, b"", b"junk", whole[:-9], flipped):
        if data is not None:
            other.write_bytes(data)
        assert "; reinstall minima" in refusal(load, "kjv")
    other.write_bytes(gzip.compress(b"In the beginning"))
    assert "does not hold the bytes" in refusal(load, "kjv")


def test_windows_follow_one_another_from_split_to_split(tmp_path):
    content = letters(1001)
    dataset = load(write(tmp_path, content), window=10)
    splits = (dataset.train, dataset.validation, dataset.test)
    assert [len(s) for s in splits] == [72, 18, 10]
    assert "".join(spell(dataset, s.inputs) for s in splits) == content[:1000]
    assert "".join(spell(dataset, s.labels) for s in splits) == content[1:]


@pytest.mark.parametrize("extra", [0, 1, 9])
def test_what_fills_no_window_is_left_out(tmp_path, extra):
    content = letters(1001) + "x" * extra
    dataset = load(write(tmp_path, content), window=10, validation_fraction=0)
    assert len(dataset.train) + len(dataset.test) == 100
    assert len(dataset.vocabulary) == 10


def test_labels_are_the_inputs_one_on():
    for name in ("kjv", "markov"):
        split = load(name, window=16).train
        np.testing.assert_array_equal(split.inputs[:, 1:], split.labels[:, :-1])


def test_the_vocabulary_is_sorted_and_as_small_as_it_can_be(tmp_path):
    dataset = load(write(tmp_path, "zeé\n" * 100), window=4, validation_fraction=0)
    assert dataset.vocabulary == ("\n", "e", "z", "é")
    assert dataset.num_classes == 4


def test_what_training_never_saw_is_one_unknown_symbol(tmp_path):
    content = "ab" * 450 + "aX" * 25 + "bY" * 25
    dataset = load(write(tmp_path, content), window=9, validation_fraction=0)
    assert dataset.vocabulary == ("a", "b", "\N{REPLACEMENT CHARACTER}")
    assert dataset.num_classes == 3
    assert (dataset.train.inputs < 2).all()
    assert (dataset.test.labels == 2).any()


def test_the_vocabulary_is_taken_without_validation(tmp_path):
    content = "ab" * 350 + "aX" * 100 + "ab" * 100
    name = write(tmp_path, content)
    whole = load(name, window=10, validation_fraction=0)
    assert whole.vocabulary == ("X", "a", "b")
    dataset = load(name, window=10, validation_fraction=0.3)
    assert dataset.vocabulary == ("a", "b", "\N{REPLACEMENT CHARACTER}")
    assert (dataset.validation.inputs == 2).any()


def test_a_replacement_character_of_its_own_serves_as_the_unknown(tmp_path):
    content = "a\N{REPLACEMENT CHARACTER}" * 450 + "aX" * 50
    dataset = load(write(tmp_path, content), window=9, validation_fraction=0)
    assert dataset.vocabulary == ("a", "\N{REPLACEMENT CHARACTER}")


def test_many_symbols_take_two_bytes(tmp_path):
    content = "".join(map(chr, range(0x4E00, 0x4E00 + 300))) * 10
    dataset = load(write(tmp_path, content))
    assert dataset.train.inputs.dtype == np.uint16
    assert dataset.num_classes == 300


def test_a_byte_order_mark_is_no_symbol(tmp_path):
    dataset = load(write(tmp_path, b"\xef\xbb\xbf" + b"ab" * 500))
    assert dataset.vocabulary == ("a", "b")


def test_a_smaller_window_gives_more_of_them(tmp_path):
    name = write(tmp_path, letters(2000))
    counts = [len(load(name, window=window).train) for window in (1, 8, 64)]
    assert counts == [1439, 179, 22]


def test_name_source_and_licence(tmp_path):
    name = write(tmp_path, letters(1000))
    dataset = load(name)
    assert (dataset.name, dataset.source) == (name, "mine.txt")
    assert dataset.licence == "not stated"
    assert load(name).checksum == dataset.checksum


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        (b"\xef\xbb\xbf", "has 0 characters"),
        ("ab", "has 2 characters"),
        (letters(640), "has 640 characters; 10 windows of 64 need 641"),
        (b"caf\xe9 " * 500, "is not UTF-8 text, from byte 3 on"),
        (bytes(range(256)) * 10, "is not UTF-8 text, from byte 128 on"),
        (gzip.compress(letters(9000).encode()), "is not UTF-8 text"),
        ("\ufeffabc\n".encode("utf-16") * 500, "is not UTF-8 text"),
        ("abc\n".encode("utf-16-le") * 500, "holds null characters"),
        (bytes(1000), "holds null characters"),
        ("a" * 1000, "its training part holds only 'a'"),
        ("a" * 950 + "b" * 50, "its training part holds only 'a'"),
    ],
)
def test_says_in_one_line_what_is_wrong_with_the_file(tmp_path, content, words, refusal):
    name = write(tmp_path, content)
    line = refusal(load, name)
    assert line.startswith(f"--dataset {name!r}: {words}")


@pytest.mark.parametrize("path", ["none.txt", "", "two\nlines", "null\0byte"])
def test_names_the_file_that_is_missing(path, refusal):
    line = refusal(load, f"text:{path}")
    assert line.startswith(f"--dataset {'text:' + path!r}: does not exist")


def test_a_directory_is_refused(tmp_path, refusal):
    assert "is not a file" in refusal(load, f"text:{tmp_path}")


@pytest.mark.parametrize("name", ["kjv", "markov"])
@pytest.mark.parametrize("window", [0, -5])
def test_refuses_windows_that_hold_nothing(name, window, refusal):
    assert refusal(load, name, window=window).startswith(f"--window {window}: must be 1 or more")


def test_refuses_windows_too_long_for_the_text(refusal):
    line = refusal(load, "kjv", window=43625)
    assert line.endswith("give a longer text or a smaller --window")


@pytest.mark.parametrize("fraction", [1.0, -0.5, float("nan"), 1e-9])
def test_refuses_fractions_that_do_not_fit(fraction, refusal):
    line = refusal(load, "kjv", validation_fraction=fraction)
    assert line.startswith(f"--validation_fraction {fraction}: ")
