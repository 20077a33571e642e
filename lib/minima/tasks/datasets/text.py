"""Characters of a text to continue: an embedded one, or the user's own."""

import gzip
import hashlib
import os
import zlib
from pathlib import Path

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.dataset import Dataset, Split, assemble, token_dtype, validation_size

PREFIX = "text:"
KJV = Path(__file__).parent / "files" / "kjv_gospels.txt.gz"
KJV_SHA256 = "a43ed0d324465f577e57ef2dc728ee5542d148f0deab7f581b851af4dec8a94b"  # of the text
WINDOW = 64
LEAST_WINDOWS = 10  # so that there is something to test on
UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def load_kjv(window: int, validation_fraction: float) -> Dataset:
    """The four Gospels of the King James Version, 436,248 characters; see `load_text`."""
    where = f"--dataset kjv: the package's file {KJV.name}"
    try:
        data = gzip.decompress(KJV.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{where} cannot be read; reinstall minima") from error
    if hashlib.sha256(data).hexdigest() != KJV_SHA256:
        raise UserError(f"{where} does not hold the bytes it was made with; reinstall minima")
    return _dataset(
        "kjv",
        data.decode(),
        window,
        validation_fraction,
        licence="public domain",
        source="embedded: the four Gospels, King James Version",
    )


def load_text(path: str, window: int, validation_fraction: float) -> Dataset:
    """Cuts a UTF-8 text into windows of tokens (n, T), one a character, labelled by the next ones.

    Windows follow one another and don't overlap. The last tenth of them is for the test, the end
    of the rest for validation. The vocabulary is what occurs in training, sorted; if validation or
    test hold anything else, it becomes one more, last symbol, U+FFFD.
    Raises UserError if the file is not a UTF-8 text of at least 10 windows and two symbols.
    """
    name = PREFIX + path
    text = _decode(_read(path, name), name)
    return _dataset(
        name,
        text,
        window,
        validation_fraction,
        licence="not stated",
        source=os.path.basename(path),
    )


def _read(path: str, name: str) -> bytes:
    file = Path(os.path.expanduser(path))
    if not path or not os.path.isfile(file):
        state = "is not a file" if path and os.path.exists(file) else "does not exist"
        raise UserError(f"--dataset {name!r}: {state}; give the path of a UTF-8 text")
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(
            f"--dataset {name!r}: cannot be read ({error.strerror}); check the file"
        ) from error


def _decode(data: bytes, name: str) -> str:
    if not data:
        raise UserError(f"--dataset {name!r}: is empty; it must be a UTF-8 text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"--dataset {name!r}: is not UTF-8 text, from byte {error.start} on;"
            " convert it, e.g. with iconv -t UTF-8"
        ) from error
    if "\0" in text:
        raise UserError(
            f"--dataset {name!r}: holds null characters, so it is not a text; give a UTF-8 text"
        )
    return text


def _dataset(
    name: str, text: str, window: int, validation_fraction: float, *, licence: str, source: str
) -> Dataset:
    count = _count_windows(name, len(text), window)
    count_train = count - round(count / 10)
    left = count_train - validation_size(count_train, validation_fraction)
    fitted = left * window + 1  # with the character that the last training window predicts
    vocabulary, tokens = _tokens(text[: count * window + 1], fitted)
    if not tokens[:fitted].any():
        raise UserError(
            f"--dataset {name!r}: its training part holds only {vocabulary[0]!r};"
            " there must be two symbols or more"
        )
    inputs = tokens[:-1].reshape(count, window)
    labels = tokens[1:].reshape(count, window).astype(np.int32)
    return assemble(
        name,
        Split(inputs[:count_train], labels[:count_train]),
        Split(inputs[count_train:], labels[count_train:]),
        num_classes=len(vocabulary),
        kind="tokens",
        validation_fraction=validation_fraction,
        licence=licence,
        source=source,
        vocabulary=vocabulary,
        ordered=True,
    )


def _count_windows(name: str, length: int, window: int) -> int:
    if window < 1:
        raise UserError(f"--window {window}: must be 1 or more characters, e.g. {WINDOW}")
    count = (length - 1) // window
    if count < LEAST_WINDOWS:
        raise UserError(
            f"--dataset {name!r}: has {length} characters; {LEAST_WINDOWS} windows of {window}"
            f" need {LEAST_WINDOWS * window + 1}, so give a longer text or a smaller --window"
        )
    return count


def _tokens(text: str, fitted: int) -> tuple[tuple[str, ...], np.ndarray]:
    """The vocabulary of the first `fitted` characters, and all characters as tokens of it."""
    codes = np.frombuffer(text.encode("utf-32-le"), "<u4")
    symbols, known = np.unique(codes[:fitted]), np.unique(codes)
    vocabulary = [chr(code) for code in symbols]
    if len(known) > len(symbols) and UNKNOWN not in vocabulary:
        vocabulary.append(UNKNOWN)
    index = {symbol: token for token, symbol in enumerate(vocabulary)}
    table = np.array([index.get(chr(code), index.get(UNKNOWN, 0)) for code in known])
    tokens = table[np.searchsorted(known, codes)]
    return tuple(vocabulary), tokens.astype(token_dtype(len(vocabulary)))
