import numpy as np
import pytest

from minima.tasks.datasets import adult, load, open_table

ROW = (
    "39, State-gov, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, {race}, "
    "{sex}, {gain}, 0, 40, United-States, {income}"
)


def twin(folder, train=60, test=30, change=None):
    """Files of Adult's form with made-up people, in random order."""
    rng = np.random.default_rng(0)

    def rows(count, end):
        for _ in range(count):
            sex = rng.choice(["Male", "Female"])
            rich = rng.random() < (0.5 if sex == "Male" else 0.3)
            values = {"sex": sex, "race": rng.choice(["White", "Black"]), "gain": rng.integers(9)}
            row = ROW.format(**values, income=(">50K" if rich else "<=50K") + end).split(", ")
            row[0], row[4], row[11] = (str(x) for x in rng.integers(20, 60, 3))
            row[12] = str(rng.integers(20, 60))
            for place, words in (
                (1, ["Private", "?"]),
                (5, ["Divorced", "Widowed"]),
                (6, ["Sales", "Tech-support"]),
                (7, ["Husband", "Wife"]),
                (13, ["Mexico", "United-States"]),
            ):
                row[place] = rng.choice(words)
            yield ", ".join(row)

    lines = {"adult.data": [*rows(train, ""), ""]}
    lines["adult.test"] = ["|1x3 Cross validator", *rows(test, "."), ""]
    for name, content in lines.items():
        text = "\n".join(content)
        (folder / name).write_text(change(name, text) if change else text, encoding="utf-8")
    return str(folder)


def test_files_of_its_form(tmp_path):
    data_dir = twin(tmp_path)
    table = open_table("adult", data_dir)
    assert (len(table.train), len(table.test), table.stand_in) == (60, 30, True)
    assert (table.knows_truth, tuple(table.test.attributes)) == (False, ("sex", "race"))
    # Neither sex nor race nor the weight of the sample is a feature.
    assert table.features == (*adult.NUMBERS, *adult.AMOUNTS, *adult.WORDS)
    ages = table.train.inputs[:, table.places("age")]
    assert (ages.mean(), ages.std()) == (pytest.approx(0, abs=1e-6), pytest.approx(1, rel=1e-5))
    assert (table.test.inputs[:, table.places("workclass")].sum(axis=1) == 1).all()
    np.testing.assert_array_equal(table.test.truth, table.test.labels)
    data = load("adult", data_dir)
    assert (data.kind, len(data.train), len(data.validation)) == ("vector", 48, 12)
    assert data.num_groups == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda name, text: text.replace(">50K", ">60K"), "does not end in <=50K or >50K"),
        (lambda name, text: text.replace("Black", "Bl\xe4ck"), "is no text"),
        (lambda name, text: "", "has no rows of both incomes"),
        (lambda name, text: text + "\n1, 2", "has 2 values, not 15"),
    ],
)
def test_files_that_do_not_fit(change, says, tmp_path, refusal):
    line = refusal(load, "adult", twin(tmp_path, change=change))
    assert line.startswith("--data_dir")
    assert says in line


def test_words_where_numbers_belong_are_not_repeated(tmp_path, refusal):
    secret = "Jane-Doe"

    def change(name, text):
        rows = [line.split(", ") for line in text.splitlines()]
        rows[3][0] = secret
        return "\n".join(", ".join(row) for row in rows)

    line = refusal(load, "adult", twin(tmp_path, change=change))
    assert "has words for age" in line
    assert secret not in line


def test_a_folder_without_them(tmp_path, refusal):
    assert "adult.data cannot be read" in refusal(load, "adult", str(tmp_path))
