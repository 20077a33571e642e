from pathlib import Path

import numpy as np
import pytest

from minima.runtime.errors import UserError
from minima.tasks.datasets import load, open_table

HEAD = ["label", "group_sex", "group_age", "truth", "income", "job"]


def columns(n=90):
    rng = np.random.default_rng(0)
    return {
        "label": rng.integers(0, 2, n),
        "group_sex": rng.choice(["f", "m"], n),
        "group_age": rng.choice([30, 50], n),
        "truth": rng.integers(0, 2, n),
        "income": np.round(rng.standard_normal(n), 3),
        "job": rng.choice(["clerk", "cook", "carer"], n),
    }


def write(folder, table):
    path = folder / "mine.csv"
    rows = zip(*(values.tolist() for values in table.values()), strict=True)
    lines = [",".join(table), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"table:{path}"


def test_a_table_of_ones_own(tmp_path):
    made = columns()
    name = write(tmp_path, made)
    table = open_table(name)
    assert (len(table.train), len(table.test), table.features) == (60, 30, ("income", "job"))
    assert (table.knows_truth, table.stand_in) == (True, False)
    assert table.train.inputs.shape == (60, 4)
    np.testing.assert_allclose(table.train.inputs[:, 0].std(), 1, rtol=1e-5)
    assert sorted(table.test.attributes) == ["age", "sex"]
    assert set(table.test.attributes["age"]) == {"30", "50"}
    for part in ("labels", "truth"):
        both = np.concatenate([getattr(table.train, part), getattr(table.test, part)])
        assert both.sum() == made["label" if part == "labels" else "truth"].sum()
    data = load(name)
    assert (data.kind, data.num_groups) == ("vector", 2)
    assert not open_table(write(tmp_path, {k: made[k] for k in made if k != "truth"})).knows_truth


def test_a_column_may_come_twice_where_both_are_the_same(tmp_path):
    made = columns()
    path = Path(write(tmp_path, made).removeprefix("table:"))
    lines = path.read_text().splitlines()
    again = ["income", *map(str, made["income"])]
    path.write_text("\n".join(f"{a},{b}" for a, b in zip(lines, again, strict=True)) + "\n")
    assert open_table(f"table:{path}").features == ("income", "job")
    again[5] = "7.5"
    path.write_text("\n".join(f"{a},{b}" for a, b in zip(lines, again, strict=True)) + "\n")
    with pytest.raises(UserError, match="income comes twice, and line 6 differs"):
        open_table(f"table:{path}")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"label": None}, "has no column label"),
        ({"group_sex": None, "group_age": None}, "has no column group, or group_sex"),
        ({"group_age": np.full(90, "all")}, "all rows are of group_age all"),
        ({"group_sex": np.array(["f", ""] * 45)}, "group_sex is missing in some rows"),
        ({"label": np.array(["yes", "no"] * 45)}, "label is neither 0 nor 1"),
        ({"truth": np.full(90, 1)}, "truth is 1 everywhere"),
        ({"income": np.array(["1.5", "2.5", "Jane Doe"] * 30)}, "income holds words in row 3"),
        ({"income": np.full(90, 2.0)}, "income is 2 everywhere"),
        ({"income": np.array(["1.5", ""] * 45)}, "income has no number in some rows"),
        ({"job": np.array([f"j{i}" for i in range(90)])}, "values in words, more than 50"),
        ({"income": None, "job": None}, "has no columns beside label and groups"),
    ],
)
def test_tables_that_do_not_fit(change, says, tmp_path, refusal):
    table = {name: values for name, values in (columns() | change).items() if values is not None}
    line = refusal(open_table, write(tmp_path, table))
    assert says in line
    assert "Jane" not in line


def test_a_file_that_is_not_there(tmp_path, refusal):
    assert "cannot be read" in refusal(open_table, f"table:{tmp_path / 'none.csv'}")
    assert "did you mean" in refusal(open_table, "table")
