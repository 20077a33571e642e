import csv
import io
import math

import pytest

from minima.record.tables import Table

ROWS = (("mlp", 1200, 0.123456, True), ("transformer", 7, math.nan, False), ("rnn", 3, None, True))
TABLE = Table("who wins", ("model", "parameters", "test_loss", "ok"), ROWS, ("ok",), ("a note",))


def test_text_is_aligned_and_short():
    assert list(TABLE.lines()) == [
        "who wins",
        "  model        parameters  test loss",
        "  mlp               1,200     0.1235",
        "  transformer           7          -",
        "  rnn                   3          -",
        "  a note",
    ]


def test_the_file_has_all_digits_and_hidden_columns():
    rows = list(csv.reader(io.StringIO(TABLE.csv())))
    assert rows[0] == ["model", "parameters", "test_loss", "ok"]
    assert rows[1] == ["mlp", "1200", "0.123456", "True"]
    assert rows[2][2] == rows[3][2] == ""


def test_an_empty_table_has_a_head():
    assert list(Table("none", ("a", "b"), ()).lines()) == ["none", "  a  b"]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="does not have 2 values"):
        Table("x", ("a", "b"), ((1,),))
    with pytest.raises(ValueError, match="has no column c"):
        Table("x", ("a",), (), ("c",))
