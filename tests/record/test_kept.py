"""What was measured once is never measured again, whatever ends the process."""

import math

import pytest

from minima.record.kept import FILE, Kept
from minima.runtime.errors import UserError


def test_a_measurement_is_made_once_and_kept(tmp_path):
    made, told = [], []

    def measure():
        made.append(1)
        return [1, 2.5, "x"]

    for _ in range(2):
        kept = Kept(tmp_path, told.append)
        assert kept.get(measure, length=4, kind="a") == [1, 2.5, "x"]
        assert kept.get(measure, kind="a", length=4) == [1, 2.5, "x"]
    assert len(made) == 1
    assert told == ["measuring length 4, kind a"]
    kept.get(measure, kind="b", length=4)
    assert len(made) == 2


def test_what_is_not_finite_is_so_at_once_and_later(tmp_path):
    for _ in range(2):
        assert math.isnan(Kept(tmp_path).get(lambda: [math.nan], at=1)[0])


def test_a_torn_line_is_measured_again(tmp_path):
    Kept(tmp_path).get(lambda: 1, at=1)
    Kept(tmp_path).get(lambda: 2, at=2)
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-5])
    kept = Kept(tmp_path)
    assert kept.get(lambda: 10, at=1) == 1
    assert kept.get(lambda: 20, at=2) == 20
    assert Kept(tmp_path).get(lambda: 30, at=2) == 20


def test_a_damaged_line_is_named(tmp_path):
    Kept(tmp_path).get(lambda: 1, at=1)
    path = tmp_path / FILE
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    with pytest.raises(UserError, match="line 1"):
        Kept(tmp_path)


def test_an_error_keeps_what_was_there(tmp_path):
    kept = Kept(tmp_path)
    kept.get(lambda: 1, at=1)
    with pytest.raises(ZeroDivisionError):
        kept.get(lambda: 1 / 0, at=2)
    assert Kept(tmp_path).get(lambda: 5, at=1) == 1
