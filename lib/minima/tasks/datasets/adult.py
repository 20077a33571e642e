"""Adult: who earned more than 50,000 dollars in the census of 1994, by sex and race.

Sex and race are what outcomes are compared by, and no features; the sampling weight is left out.
"""

import csv
import hashlib
import os
from pathlib import Path

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.download import Remote, data_directory, fetch
from minima.tasks.datasets.tabular import Rows, Table, Values, encoded

_URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/adult/"
FILES = (
    Remote(
        "adult.data",
        f"{_URL}adult.data",
        3_974_305,
        "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
    ),
    Remote(
        "adult.test",
        f"{_URL}adult.test",
        2_003_153,
        "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
    ),
)
COLUMNS = (
    *("age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation"),
    *("relationship", "race", "sex", "capital_gain", "capital_loss", "hours_per_week"),
    *("native_country", "income"),
)
NUMBERS = ("age", "education_num", "hours_per_week")
AMOUNTS = ("capital_gain", "capital_loss")  # as log(1 + x): most are 0
WORDS = ("workclass", "marital_status", "occupation", "relationship", "native_country")
ATTRIBUTES = ("sex", "race")
_LABELS = {"<=50K": 0, ">50K": 1}


def adult_table(data_dir: str) -> Table:
    """The census (Kohavi 1996), 32,561 + 16,281 rows in the published split.

    data_dir: holds adult.data and adult.test; if they are not the published ones, the dataset is
        marked as a stand-in. "" means minima's cache, where missing files are downloaded to.

    Raises UserError if a file is missing or is not of this form, or cannot be downloaded.
    """
    where = f"--data_dir {data_dir!r}" if data_dir else "--dataset 'adult'"
    if data_dir:
        paths = [Path(os.path.expanduser(data_dir)) / file.name for file in FILES]
    else:
        paths = [fetch(file, data_directory() / "adult", where) for file in FILES]
    contents = [_content(path, where) for path in paths]
    genuine = all(
        hashlib.sha256(content).hexdigest() == file.sha256
        for content, file in zip(contents, FILES, strict=True)
    )
    train, test = (
        _parse(content, f"{where}: {path.name}")
        for content, path in zip(contents, paths, strict=True)
    )
    inputs, others, columns = encoded(_features(train), _features(test), where)
    return Table(
        "adult",
        _rows(train, inputs),
        _rows(test, others),
        columns,
        knows_truth=False,
        licence="CC BY 4.0, Becker and Kohavi 1996, UCI" if genuine else "not stated",
        source="the published files" if genuine else "files of Adult's form, not the published",
        stand_in=not genuine,
    )


def _content(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{where}: {path.name} cannot be read ({error.strerror}); it must hold "
            f"{' and '.join(file.name for file in FILES)}"
        ) from error


def _parse(content: bytes, where: str) -> dict[str, list[str]]:
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: is no text; get the published file") from error
    found: dict[str, list[str]] = {name: [] for name in COLUMNS}
    for number, row in enumerate(csv.reader(text.splitlines(), skipinitialspace=True), 1):
        if not row or row[0].startswith("|"):
            continue
        if len(row) != len(COLUMNS):
            raise UserError(f"{where}: line {number} has {len(row)} values, not {len(COLUMNS)}")
        row[-1] = row[-1].rstrip(".")
        if row[-1] not in _LABELS:
            raise UserError(f"{where}: line {number} does not end in <=50K or >50K")
        for name in (*NUMBERS, *AMOUNTS):
            if not row[COLUMNS.index(name)].isdigit():
                raise UserError(
                    f"{where}: line {number} has words for {name}, where a whole number belongs"
                )
        for name, value in zip(COLUMNS, row, strict=True):
            found[name].append(value)
    if len(set(found["income"])) < 2:
        raise UserError(f"{where}: has no rows of both incomes; get the published file")
    return found


def _features(raw: dict[str, list[str]]) -> dict[str, Values]:
    numbers: dict[str, Values] = {name: np.array(raw[name], np.float64) for name in NUMBERS}
    amounts: dict[str, Values] = {
        name: np.log1p(np.array(raw[name], np.float64)) for name in AMOUNTS
    }
    words: dict[str, Values] = {name: np.array(raw[name], dtype=str) for name in WORDS}
    return numbers | amounts | words


def _rows(raw: dict[str, list[str]], inputs: np.ndarray) -> Rows:
    labels = np.array([_LABELS[value] for value in raw["income"]], np.int32)
    attributes = {name: np.array(raw[name], dtype=str) for name in ATTRIBUTES}
    return Rows(inputs, labels, labels, attributes)
