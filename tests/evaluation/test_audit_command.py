"""`python -m minima audit` as a user calls it."""

import csv

import numpy as np
import pytest

from minima.__main__ import main

N = 4000


@pytest.fixture
def files(tmp_path, monkeypatch):
    """predictions.csv of a fair, calibrated model, with people's names in it; deployment.csv."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    score = rng.beta(1, 1, N)
    label = (rng.random(N) < score).astype(int)
    ruler = np.where(rng.random(N) < 0.8, label, 1 - label)
    columns = {
        "name": [f"Person {i}" for i in range(N)],
        "label": label,
        "score": score,
        "sex": rng.choice(["f", "m"], N),
        "ruler": ruler,
        "city": rng.choice(["Reno", "Tucson"], N),
    }
    write(tmp_path / "predictions.csv", columns)
    write(tmp_path / "deployment.csv", {"city": rng.choice(["Reno", "Tucson"], 500)})
    return columns


def write(path, columns):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


ASKED = ("--groups=sex", "--cues=ruler", "--covered=city", "--deployment=deployment.csv")


def test_a_sound_model_is_signed_off_and_no_person_is_written(files, tmp_path, capsys):
    assert main(["audit", "predictions.csv", *ASKED]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"SIGN OFF: {N:,} test examples")
    page, text = ((tmp_path / "audit" / name).read_text() for name in ("audit.html", "audit.md"))
    assert page.count("<img") == text.count("![") == 2
    for content in (out, page, text):
        assert "Person" not in content
        assert "SIGN OFF" in content


def test_faults_are_blocked_with_exit_code_1(files, tmp_path, capsys):
    write(tmp_path / "deployment.csv", {"city": ["Reno", "Fresno"] * 100})
    assert main(["audit", "predictions.csv", *ASKED]) == 1
    out = capsys.readouterr().out
    assert out.startswith("BLOCKED")
    assert "Fresno" in out


def test_what_is_not_given_is_not_answerable(files, capsys):
    assert main(["audit", "predictions.csv"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("NOT ANSWERABLE")
    assert out.count("\nNOT ANSWERABLE") == 3


def test_npz_and_several_classes(files, tmp_path, capsys):
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(3), N)
    label = (p.cumsum(axis=1) > rng.random(N)[:, None]).argmax(axis=1)
    columns = {"p_0": p[:, 0], "p_1": p[:, 1], "p_2": p[:, 2], "label": label}
    np.savez(tmp_path / "predictions.npz", sex=rng.choice(["f", "m"], N), **columns)
    main(["audit", "predictions.npz", "--groups=sex"])
    assert "OK: calibration of sex f" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("nowhere.csv", "nowhere.csv: cannot be read (No such file or directory)"),
        ("predictions.csv --groups=sexx", "has no column sexx; did you mean sex?"),
        ("predictions.csv --label=name", "name: row 1 holds 'Person 0'"),
        ("predictions.csv --score=name", "name: row 1 holds 'Person 0', which is no number"),
        ("predictions.csv --threshold=1.5", "threshold 1.5: goes with two classes"),
        ("predictions.csv --gap=0", "--gap=0: must be above 0 and below 1"),
        ("predictions.csv --deployment=deployment.csv", "say with --covered which columns"),
        ("ragged.csv", "line 3 has 1 values where the head has 2"),
        ("sums.csv --score=a,b", "row 1 sums to 0.9"),
        ("constant.csv", "probabilities: are the same for every example"),
        ("empty.csv", "has no rows"),
        ("text.npz", "is no npz archive"),
    ],
)
def test_bad_input_is_one_line(files, tmp_path, capsys, arguments, says):
    (tmp_path / "ragged.csv").write_text("label,score\n0,0.5\n1\n")
    (tmp_path / "sums.csv").write_text("label,a,b\n0,0.5,0.5\n1,0.5,0.4\n")
    (tmp_path / "constant.csv").write_text("label,score\n0,0.5\n1,0.5\n")
    (tmp_path / "empty.csv").write_text("label,score\n")
    (tmp_path / "text.npz").write_text("no archive")
    assert main(["audit", *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert says in error
    assert not (tmp_path / "audit").exists()
