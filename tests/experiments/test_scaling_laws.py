"""Planted laws are found again; the experiment as a user runs it."""

import csv
import dataclasses
import json
from functools import partial

import numpy as np
import pytest

from minima.claims.claim import FAIL, PASS
from minima.runtime.errors import UserError
from parts.scaling_laws import report
from parts.scaling_laws.claims import judge
from parts.scaling_laws.config import ScalingConfig, ScalingLawsConfig
from parts.scaling_laws.laws import fit
from parts.scaling_laws.points import Course

X = np.geomspace(3e3, 1e5, 5)


def planted(exponent, floor, seeds=3, noise=1e-4, entropy=None):
    random = np.random.default_rng(0)
    losses = floor + (500 / X) ** exponent
    rows = losses[:, None] + noise * random.normal(size=(len(X), seeds))
    return Course("kjv", "lstm", "parameters", X, rows, entropy)


@pytest.mark.parametrize("exponent", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("known", [True, False])
def test_a_planted_law_is_found(exponent, known):
    losses = 1.3 + (500 / X) ** exponent
    law = fit(X, losses, 1.3 if known else None)
    assert law.exponent == pytest.approx(exponent, rel=1e-3)
    assert law.floor == pytest.approx(1.3, rel=1e-3)
    np.testing.assert_allclose(law.at(X), losses, rtol=1e-6)
    assert not law.at_bound
    assert fit(X, losses, 0.0).exponent < exponent / 2  # what leaving the floor out does


def test_a_floor_that_nothing_shows_is_said_to_be_at_its_bound():
    assert fit(X, (500 / X) ** 0.3).at_bound
    assert fit(X, np.linspace(2, 2.1, 5)).at_bound  # it rises


def test_verdicts_on_planted_losses():
    falls = {claim.id: v.verdict for claim, v in judge([planted(0.5, 1.3, entropy=1.3)])}
    assert set(falls) == {f"kjv_lstm_parameters_{n}" for n in ("exponent", "entropy", "floor")}
    assert set(falls.values()) == {PASS}
    below = planted(0.5, 1.0, entropy=1.3)
    below = {claim.id: v.verdict for claim, v in judge([below])}
    assert below["kjv_lstm_parameters_entropy"] == FAIL
    (flat,) = judge([Course("kjv", "lstm", "data", X, np.full((5, 3), 2.0), None)])
    assert flat[1].verdict != PASS


def test_tables_and_pictures_of_planted_losses():
    found = [planted(0.5, 1.3), planted(0.5, 1.3, entropy=1.3)]
    found[1] = dataclasses.replace(found[1], text="markov", axis="data")
    made = report.tables(found)
    rows = {row[0]: dict(zip(made["laws"].columns, row, strict=True)) for row in made["laws"].rows}
    assert (rows["kjv"]["floor_is"], rows["markov"]["floor_is"]) == ("fitted", "known")
    for row in rows.values():
        assert row["exponent"] == pytest.approx(0.5, abs=0.02)
        assert row["without_floor"] < 0.2
    assert len(made["losses"].rows) == 2 * len(X)
    drawn = report.pictures(found, judge(found), "a run")
    assert {name for name, picture in drawn.items() if len(picture.png) > 10_000} == set(drawn)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"models": ("mlp",)}, "--models=mlp: knows lstm and transformer"),
        ({"widths": (16, 32)}, "--widths: 2 points are too few"),
        ({"windows": (100,)}, "--windows: 2 points are too few"),
        ({"text": "mnist1d"}, "--text=mnist1d: is no text"),
    ],
)
def test_what_no_law_fits_is_refused(settings, says):
    with pytest.raises(UserError) as caught:
        ScalingLawsConfig(ScalingConfig(**settings))
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


# --- end to end ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smoke(python, script, run_path, tmp_path_factory):
    cwd = tmp_path_factory.mktemp("scaling")
    run = partial(python, script.parent / "scaling_laws.py", cwd=cwd)
    result = run("--preset=smoke")
    assert (result.returncode, result.stderr.count("rror")) == (0, 0), result.stderr
    return result.stdout, run_path(result.stdout, cwd), run


@pytest.mark.slow
def test_the_smoke_preset_ends_in_laws_and_verdicts(smoke):
    out, run, _ = smoke
    verdict = json.loads((run / "verdict.json").read_text())
    assert len(verdict["runs"]) == 3 + 2
    assert len(verdict["verdicts"]) == 2
    with open(run / "losses.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 + 3
    for row in rows:
        assert 1 < float(row["loss"]) < 5
    assert (run / "figures" / "laws.png").stat().st_size > 10_000
    assert "verdicts, failures first" in out


@pytest.mark.slow
def test_the_same_command_changes_nothing(smoke):
    out, run, again = smoke
    before = (run / "verdict.json").read_bytes()
    result = again("--preset=smoke")
    assert (result.returncode, result.stdout) == (0, out)
    assert (run / "verdict.json").read_bytes() == before
