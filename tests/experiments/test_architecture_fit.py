"""Planted outcomes get the verdicts they should; the experiment as a user runs it."""

import csv
import json
from functools import partial

import numpy as np
import pytest

from minima.claims.claim import FAIL, PASS
from minima.runtime.errors import UserError
from parts.architecture_fit import streaming
from parts.architecture_fit.claims import TABLE, judge
from parts.architecture_fit.config import (
    CNN,
    DESTROYED,
    GRAPH,
    INTACT,
    LSTM,
    MLP,
    PUBLISHED,
    SEQUENTIAL,
    SPATIAL,
    ArchitectureFitConfig,
    FitConfig,
    Key,
)
from parts.architecture_fit.outcomes import Curves, Outcome

SIZES = (500, 4000)


@pytest.fixture(scope="module")
def streams():
    return streaming.measure()


def planted(mlp, mlp_lost, other, other_lost, name):
    """Accuracies of three seeds; the other is as good with 500 as the MLP with 4,000."""
    random = np.random.default_rng(0)

    def rows(*means):
        return np.array(means)[:, None] + 0.1 * random.normal(size=(len(means), 3))

    return Curves(
        SIZES,
        {
            (INTACT, MLP): rows(mlp - 10, mlp),
            (DESTROYED, MLP): rows(mlp - mlp_lost),
            (INTACT, name): rows(mlp + 1, other),
            (DESTROYED, name): rows(other - other_lost),
        },
    )


def test_the_fitting_architecture_wins_loses_and_saves(streams):
    verdicts = {
        claim.id: verdict
        for claim, verdict in judge({SPATIAL: planted(80, 0, 90, 30, CNN)}, {}, streams)
    }
    for name in ("wins", "lost", "mlp_lost", "examples"):
        assert verdicts[f"spatial_{name}"].verdict == PASS, name
    assert verdicts["spatial_examples"].statistic.estimate == pytest.approx(3)  # 500 for 4,000


def test_what_is_not_so_fails(streams):
    curves = {SEQUENTIAL: planted(80, 9, 70, 0, LSTM)}
    verdicts = {claim.id: v.verdict for claim, v in judge(curves, {}, streams)}
    assert [verdicts[f"sequential_{n}"] for n in ("wins", "lost", "mlp_lost")] == [FAIL] * 3


def test_nothing_is_saved_where_more_examples_help_nobody(streams):
    curves = planted(25, 0, 25, 0, CNN)
    for key in ((INTACT, MLP), (INTACT, CNN)):
        curves.found[key][0] = curves.found[key][1] + 1
    verdicts = {claim.id: v.verdict for claim, v in judge({SPATIAL: curves}, {}, streams)}
    assert verdicts["spatial_examples"] != PASS


def test_examples_needed_lie_between_sizes_or_nowhere():
    curves = planted(80, 0, 90, 0, CNN)
    assert curves.needed(MLP) == pytest.approx(4000)
    assert (curves.needed(CNN) == 500).all()
    found = {(INTACT, MLP): np.array([[50.0], [80.0]]), (INTACT, CNN): np.array([[60.0], [100.0]])}
    middle = Curves(SIZES, found).needed(CNN)
    assert middle == pytest.approx(np.sqrt(500 * 4000))
    found[INTACT, CNN] = np.array([[60.0], [70.0]])
    assert np.isnan(Curves(SIZES, found).needed(CNN)).all()


@pytest.mark.parametrize(("off", "verdict"), [(0.0, PASS), (9.0, FAIL)])
def test_published_cells(streams, off, verdict):
    noise = np.array([-0.1, 0.0, 0.1])
    found = {
        Key(PUBLISHED, "", version, model, 0): Outcome(
            np.mean(published) + off + noise, noise, 0.01, 1
        )
        for (model, version), published in TABLE.items()
    }
    verdicts = {claim.id: v.verdict for claim, v in judge({}, found, streams)}
    cells = [v for name, v in verdicts.items() if name.split("_")[-1] not in ("lost", "memory")]
    assert cells == [verdict] * len(TABLE)
    assert verdicts["mnist1d_cnn_lost"] == verdicts["mnist1d_mlp_lost"] == PASS


def test_a_state_stays_and_a_cache_grows(streams):
    assert streams.memory["lstm"] == (2 * 64 * 4,) * 5  # h and c
    assert streams.memory["transformer"] == tuple(2 * 2 * 64 * 4 * n for n in streams.lengths)
    assert len(set(streams.flops["lstm"])) == 1
    more = np.diff(streams.flops["transformer"]) / np.diff(streams.lengths)
    # Two blocks, a token more: 2·64 for its score, 2·64 for its mixture, and a softmax of 4 heads.
    assert (more >= 2 * 4 * 64).all()
    assert (more < 2 * (4 * 64 + 10 * 4)).all()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"parts": ()}, "--parts, --tasks, --models: name at least one"),
        ({"models": (LSTM,)}, "--models: all are compared with mlp"),
        ({"seeds": (0, 1)}, "--seeds=2: rates are chosen on seed 0"),
    ],
)
def test_what_compares_nothing_is_refused(settings, says):
    with pytest.raises(UserError) as caught:
        ArchitectureFitConfig(FitConfig(**settings))
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_every_model_has_a_rate_where_it_can_read():
    everything = FitConfig(models=(MLP, CNN, LSTM, "gru", "transformer", "set transformer", "gnn"))
    keys = list(ArchitectureFitConfig(everything).sweeps())
    assert len(keys) == len(set(keys)) == 3 * (7 + 7 + 6) + 2 * 3
    assert not [key for key in keys if (key.task, key.model) == (GRAPH, CNN)]


# --- end to end ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smoke(python, script, run_path, tmp_path_factory):
    cwd = tmp_path_factory.mktemp("fit")
    run = partial(python, script.parent / "architecture_fit.py", cwd=cwd)
    result = run("--preset=smoke")
    assert (result.returncode, result.stderr.count("rror")) == (0, 0), result.stderr
    return result.stdout, run_path(result.stdout, cwd), run


@pytest.mark.slow
def test_the_smoke_preset_ends_in_tables_and_verdicts(smoke):
    out, run, _ = smoke
    verdict = json.loads((run / "verdict.json").read_text())
    with open(run / "fit.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["task"] for row in rows} == {"graph"}
    for row in rows:
        lost = float(row["intact_%"]) - float(row["destroyed_%"])
        assert float(row["lost_points"]) == pytest.approx(lost, abs=1e-9)
    assert len(verdict["verdicts"]) == 4 + 2 + 2  # graph, published cells, streams
    for name in ("fit", "efficiency", "streams", "claims"):
        assert (run / "figures" / f"{name}.png").stat().st_size > 10_000
    assert "verdicts, failures first" in out


@pytest.mark.slow
def test_the_same_command_changes_nothing(smoke):
    out, run, again = smoke
    files = ("verdict.json", "fit.csv", "predictions.csv")
    before = [(run / name).read_bytes() for name in files]
    result = again("--preset=smoke")
    assert (result.returncode, result.stdout) == (0, out)
    assert [(run / name).read_bytes() for name in files] == before


@pytest.mark.slow
def test_a_dataset_that_is_no_graph_ends_in_a_line(smoke):
    result = smoke[2]("--preset=smoke", "--graph=kjv", "--tasks=graph", "--parts=fit")
    assert result.returncode == 2
    assert "--model=mlp: reads image or signal" in result.stderr
    assert "Traceback" not in result.stderr
