"""The edge of stability as a user runs it, and what it wrote recomputed from its own files."""

import csv
import json
import statistics
from functools import partial

import numpy as np
import pytest

from minima.claims.claim import FAIL, INCONCLUSIVE, PARTIAL, PASS
from minima.landscape.stability import critical_sharpness
from parts.edge_of_stability.claims import judge
from parts.edge_of_stability.config import PRESETS, EosConfig
from parts.edge_of_stability.courses import Course

pytestmark = pytest.mark.slow

FILES = ("verdict.json", "sharpness.csv", "results.csv", "measures.jsonl", "run.flags")
FIGURES = ("edge.png", "edge.svg", "claims.png", "claims.svg")


@pytest.fixture(scope="module")
def edge(python, script):
    return partial(python, script.parent / "edge_of_stability.py")


@pytest.fixture(scope="module")
def smoke(edge, run_path, tmp_path_factory):
    """The smoke preset, run once: what it printed, where it ran, the run and its verdict."""
    cwd = tmp_path_factory.mktemp("edge")
    result = edge("--preset=smoke", cwd=cwd)
    assert (result.returncode, result.stderr.count("rror")) == (0, 0)
    run = run_path(result.stdout, cwd)
    return result.stdout, cwd, run, json.loads((run / "verdict.json").read_text())


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


# --- what a finished run says ----------------------------------------------------------------


def test_an_optimiser_is_one_program_and_every_kept_state_is_measured(smoke):
    _, _, run, verdict = smoke
    assert set(verdict["runs"]) == {"sgd", "momentum", "adam"}
    for name in verdict["runs"].values():
        info = json.loads((run.parent / name / "run.json").read_text())
        assert info["compilations"] == 1
    measured = rows(run / "sharpness.csv")
    kinds = [(c["optimizer"], c["batch_size"], c["learning_rate"]) for c in verdict["courses"]]
    assert len(kinds) == len(set(kinds)) == 2 * 2 + 1 + 1
    assert len(measured) == len(kinds) * PRESETS["smoke"]["snapshots"] * 2
    assert {row["seed"] for row in measured} == {"0", "1"}


def test_what_is_said_follows_from_the_table(smoke):
    _, _, run, verdict = smoke
    measured = rows(run / "sharpness.csv")
    last = max(int(row["updates"]) for row in measured)
    for course in verdict["courses"]:
        mine = [
            row
            for row in measured
            if (row["optimizer"], row["batch_size"], float(row["learning_rate"]))
            == (course["optimizer"], str(course["batch_size"]), course["learning_rate"])
        ]
        rate = course["learning_rate"]
        for row in mine:
            scaled = float(row["sharpness"]) * rate
            assert float(row["times_step_size"]) == pytest.approx(scaled)
        late = [
            statistics.median(
                float(row["times_step_size"])
                for row in mine
                if row["seed"] == seed and int(row["updates"]) > last / 2
            )
            for seed in ("0", "1")
        ]
        assert course["late_by_seed"] == pytest.approx(late)
        edge = critical_sharpness(course["optimizer"], rate, 0.9)
        assert course["edge"] == pytest.approx(edge)


def test_failures_are_printed_first_and_files_named(smoke, visible):
    out, cwd, run, verdict = smoke
    assert visible(out)
    tail = out[out.index("verdicts, failures first") :]
    order = ["FAIL", "PARTIAL", "INCONCLUSIVE", "PASS"]
    found = [line.split()[0] for line in tail.splitlines() if line.split()[:1] and line[0] != " "]
    found = [word for word in found if word in order]
    assert found == sorted(found, key=order.index)
    assert len(found) == len(verdict["verdicts"]) == 2 + 1 + 1 + 3 + 2
    for name in ("verdict.json", "sharpness.csv", "figures/edge.png", "figures/claims.png"):
        assert f"{run.relative_to(cwd) / name}\n" in tail
    for name in FIGURES:
        assert (run / "figures" / name).stat().st_size > 10_000


def test_the_same_command_changes_nothing(smoke, edge):
    out, cwd, run, _ = smoke
    before = {name: (run / name).read_bytes() for name in FILES}
    again = edge(f"--flagfile={run / 'run.flags'}", cwd=cwd)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == out
    assert {name: (run / name).read_bytes() for name in FILES} == before


# --- verdicts on planted courses -------------------------------------------------------------


def planted(level, optimizer="sgd", full=True, rate=0.1, seeds=3, first=0.5):
    """A course that hovers at `level` / step size."""
    rng = np.random.default_rng(0)
    scaled = level + 0.01 * rng.normal(size=(seeds, 8))
    scaled[:, 0] = first
    losses = np.exp(-0.1 * np.arange(20.0)) * (1 + 0.2 * (np.arange(20) % 2))
    return Course(
        optimizer=optimizer,
        batch_size=100 if full else 10,
        rate=rate,
        full=full,
        edge=critical_sharpness(optimizer, rate, 0.9),
        updates=np.arange(1.0, 9.0),
        sharpness=scaled / rate,
        residuals=np.zeros((seeds, 8)),
        looks=np.arange(1.0, 21.0),
        losses=np.tile(losses, (seeds, 1)),
        accuracy=np.full(seeds, 50.0),
    )


def verdicts_of(*courses):
    return {claim.id: verdict.verdict for claim, verdict in judge(courses)}


@pytest.mark.parametrize(
    ("optimizer", "level", "verdict"),
    [
        ("sgd", 2.05, PASS),
        ("sgd", 1.5, PARTIAL),
        ("sgd", 2.6, PARTIAL),
        ("momentum", 3.8, PASS),
        ("momentum", 2.05, PARTIAL),
        ("adam", 38.0, PASS),
        ("adam", 50.0, PARTIAL),
    ],
)
def test_hovering_is_judged_at_the_optimisers_own_edge(optimizer, level, verdict):
    courses = [planted(2.05)] + [planted(level, optimizer)] * (optimizer != "sgd")
    if optimizer == "sgd":
        courses = [planted(level)]
    found = verdicts_of(*courses)
    names = {"sgd": "gradient descent", "momentum": "momentum", "adam": "Adam"}
    assert found[f"{names[optimizer]}, step size 0.1"] == verdict


def test_small_batches_are_judged_against_the_edge_and_each_other():
    below = verdicts_of(planted(0.8, full=False), planted(2.05))
    assert below["batch size 10 stays below"] == PASS
    assert below["batch size 10 is flatter than full"] == PASS
    above = verdicts_of(planted(2.05, full=False), planted(2.05))
    assert above["batch size 10 stays below"] == FAIL
    assert above["batch size 10 is flatter than full"] == FAIL


def test_the_loss_and_the_way_there():
    found = verdicts_of(planted(2.05))
    assert found["progressive sharpening"] == PASS
    assert found["the loss is not monotone"] == PASS
    assert found["the loss falls all the same"] == PASS
    assert verdicts_of(planted(2.05, first=4.1))["progressive sharpening"] == FAIL


def test_one_seed_decides_nothing():
    assert set(verdicts_of(planted(2.05, seeds=1)).values()) == {INCONCLUSIVE}


# --- the edge itself -------------------------------------------------------------------------


def test_gradient_descent_hovers_at_two_over_its_step_size(edge, run_path, tmp_path):
    """The claim at a small scale: four step sizes, and seeds that nothing was settled on."""
    flags = (
        "--train_examples=300",
        "--learning_rates=0.1,0.13,0.16,0.2",
        "--momentum_rates=none",
        "--adam_rates=none",
        "--small_batches=none",
        "--seeds=7,8",
        "--budget=5000steps",
        "--evaluations=20",
        "--snapshots=10",
        "--tensorboard=false",
    )
    result = edge(*flags, cwd=tmp_path, timeout=500)
    assert result.returncode == 0
    verdict = json.loads((run_path(result.stdout, tmp_path) / "verdict.json").read_text())
    late = {course["learning_rate"]: course["late_by_seed"] for course in verdict["courses"]}
    assert len(late) == 4
    for values in late.values():
        assert 1.9 <= min(values) <= max(values) <= 2.2


# --- before anything is trained --------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--optimizer=adam"], "--optimizer=adam"),
        (["--weight_decay=0.1"], "--weight_decay=0.1"),
        (["--decay=cosine"], "--decay=cosine"),
        (["--budget=10epochs"], "--budget=10epochs"),
        (["--budget=100steps,train_loss<=0.1"], "--budget=100steps"),
        (["--norm=batch"], "--norm=batch"),
        (["--augmentation=shift"], "--augmentation=shift"),
        (["--train_examples=0"], "--train_examples=0"),
        (["--small_batches=10,500"], "--small_batches=10,500"),
        (["--snapshots=2"], "--snapshots=2"),
        (["--snapshots=50", "--evaluations=20"], "--snapshots=50"),
        (["--learning_rates=none"], "--learning_rates=none"),
        (["--batch_sizes=16"], "unknown flag"),
    ],
)
def test_what_would_move_the_edge_is_refused(edge, one_line, tmp_path, flags, says):
    result = edge(*flags, cwd=tmp_path, timeout=30)
    assert result.returncode == 2
    assert says in one_line(result.stderr)
    assert not list(tmp_path.iterdir())


def test_optimisers_and_small_batches_can_be_left_out():
    config = EosConfig()
    assert list(config.sweeps()) == ["sgd", "momentum", "adam"]
    assert config.sweeps()["sgd"].grid.batch_sizes[-1] == config.task.train_examples
    bare = type(config.edge)(momentum_rates=(), adam_rates=(), small_batches=())
    [(name, only)] = EosConfig(edge=bare).sweeps().items()
    assert (name, only.grid.batch_sizes) == ("sgd", (config.task.train_examples,))


@pytest.mark.parametrize("preset", list(PRESETS))
def test_plan_only_writes_nothing(edge, tmp_path, preset):
    result = edge(f"--preset={preset}", "--plan_only", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1].startswith("run: runs/edge_of_stability/")
    assert result.stdout.count("tanh") == 3
    assert not list(tmp_path.iterdir())


def test_help_does_not_wait_for_jax(python, script, tmp_path):
    path = script.parent / "edge_of_stability.py"
    result = python("-X", "importtime", path, "--help", cwd=tmp_path)
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "parts.edge_of_stability.config" in imported
    assert not imported & {"jax", "matplotlib", "numpy", "orbax", "xarray", "scipy"}
    assert "--train_examples=500" in result.stdout
