"""`python -m minima monitor` as a user calls it."""

import csv

import numpy as np
import pytest

from minima.__main__ import main

ALWAYS = ("--launch=launch.csv", "--window=100")
ASKED = (*ALWAYS, "--features=age,rent", "--label=label", "--prediction=guess")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """launch.csv, same.csv and drift.csv, with people's names in them; the last labels missing."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    write("launch.csv", columns(rng, 600))
    write("same.csv", columns(rng, 450))
    write("drift.csv", columns(rng, 450, shift=1.0, rate=0.5))


def columns(rng, n, shift=0.0, rate=0.15):
    label = rng.integers(0, 3, n)
    guess = np.where(rng.random(n) < rate, (label + 1) % 3, label)
    late = [str(each) if i < n - 100 else "" for i, each in enumerate(label)]
    return {
        "name": [f"Person {i}" for i in range(n)],
        "age": rng.normal(40, 10, n),
        "rent": rng.normal(900 + 200 * shift, 200, n),
        "label": late,
        "guess": guess,
    }


def write(path, content):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(content)
        writer.writerows(zip(*content.values(), strict=True))


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_no_alert_is_exit_code_0(files, capsys):
    assert main(["monitor", "same.csv", *ASKED]) == 0
    out = capsys.readouterr().out
    assert out.startswith("no alert: 4 windows of 100 look as at launch to 4 detectors")
    assert read("monitor/alerts.csv") == []


def test_a_shift_is_exit_code_1_named_and_logged_and_no_person_is_written(files, tmp_path, capsys):
    assert main(["monitor", "drift.csv", *ASKED, "--delay=1", "--report=seen"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("ALERT: ")
    assert "window 1, rows 1 to 100, feature rent" in out
    alerts, captured = read("seen/alerts.csv"), read("seen/captured.csv")
    found = {row["detector"] for row in alerts}
    assert {"kolmogorov_smirnov", "maximum_mean_discrepancy", "cusum"} <= found
    stream = read("drift.csv")
    known = [i for i, row in enumerate(stream[:300]) if row["label"]]
    missed = [i + 1 for i in known if stream[i]["label"] != stream[i]["guess"]]
    assert [int(row["row"]) for row in captured] == missed
    for path in (tmp_path / "seen").iterdir():
        assert "Person" not in path.read_text()
    assert "Person" not in out


def test_the_same_call_writes_the_same_files(files, tmp_path):
    texts = []
    for _ in range(2):
        main(["monitor", "drift.csv", *ASKED])
        texts.append([path.read_bytes() for path in sorted((tmp_path / "monitor").iterdir())])
    assert texts[0] == texts[1]


def test_npz_and_features_alone(files, capsys):
    rng = np.random.default_rng(1)
    np.savez("launch.npz", x=rng.normal(size=300))
    np.savez("stream.npz", x=rng.normal(size=300) + 2)
    assert main(["monitor", "stream.npz", "--launch=launch.npz", "--features=x"]) == 1
    assert "cusum" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["none.csv"], "none.csv: cannot be read"),
        (["same.csv", "--launch=none.csv"], "none.csv: cannot be read"),
        (["same.csv", "--features=agee"], "launch.csv: has no column agee; did you mean age?"),
        (["same.csv", "--features=name"], "launch.csv: name: holds text where numbers belong"),
        (["same.csv", "--features=label"], "launch.csv: label: 100 values are NaN or infinite"),
        (
            ["same.csv", "--classes=2"],
            "launch.csv: guess: holds what is no class; classes are whole numbers from 0 to 1",
        ),
        (["same.csv", "--label=age"], "launch.csv: age: holds what is no class"),
        (["same.csv", "--prediction="], "errors need --prediction too"),
        (["same.csv", "--features=", "--label=", "--prediction="], "--features: name the columns"),
        (["same.csv", "--window=451"], "--window=451: same.csv has 450 rows"),
        (["same.csv", "--level=1.5"], "--level=1.5: must be above 0 and below 1"),
        (["same.csv", "--rise=0"], "--rise=0: must be above 0"),
        (["ragged.csv"], "ragged.csv: line 3 has 2 values"),
        (["lengths.npz", "--launch=lengths.npz"], "columns differ in length"),
        (["same.csv", "--report=launch.csv"], "--report=launch.csv: "),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(files, capsys, flags, said):
    with open("ragged.csv", "w") as file:
        file.write("name,age,rent,label,guess\nPerson 1,3,4,0,0\nPerson 2,3\n")
    np.savez("lengths.npz", age=np.ones(300), rent=np.ones(299), label=np.ones(1), guess=np.ones(1))
    assert main(["monitor", flags[0], *ASKED, *flags[1:]]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert "Person" not in error
