"""Transfer: its smoke preset through the command line, its claims on planted curves, bad input."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from minima.claims.claim import FAIL, INCONCLUSIVE, PASS
from minima.claims.claim import PARTIAL as JUDGED_PARTIAL
from minima.runtime.errors import UserError
from minima.tasks.datasets import load
from parts.transfer_learning.claims import judge
from parts.transfer_learning.config import (
    DESTROYED,
    FAR,
    FULL,
    LARGE,
    NEAR,
    OUTSIDE,
    PARTIAL,
    PRESETS,
    PROBE,
    SAM,
    SCRATCH,
    SMALL,
    SourcesConfig,
    TargetsConfig,
    TransferConfig,
)
from parts.transfer_learning.curves import Curves
from parts.transfer_learning.report import findings
from parts.transfer_learning.stages import Arm, arms, check_targets, pretrainings

SCRIPT = Path(__file__).parents[2] / "experiments" / "transfer_learning.py"
LABELS = (5, 20, 50, 200, 1000)


@pytest.fixture(scope="module")
def smoke(python, run_path, tmp_path_factory):
    """The smoke preset with a further network from a file, run twice in one folder."""
    folder = tmp_path_factory.mktemp("transfer")
    rng = np.random.default_rng(0)
    sizes = {"c0": (8, 1, 5), "c1": (8, 8, 3), "c2": (8, 8, 3)}  # PyTorch's order
    theirs = {f"{n}.w": 0.4 * rng.normal(size=size).astype("f4") for n, size in sizes.items()}
    theirs |= {f"{n}.b": np.zeros(8, "f4") for n in sizes}
    save_file(theirs, folder / "net.safetensors")
    mapped = {f"convolutions/{i}/bias": f"c{i}.b" for i in range(3)}
    for i in range(3):
        mapped[f"convolutions/{i}/kernel"] = {"name": f"c{i}.w", "transpose": [2, 1, 0]}
    (folder / "map.json").write_text(json.dumps(mapped))
    flags = ["--preset=smoke", "--initial_weights=net.safetensors", "--weight_map=map.json"]
    command = (SCRIPT, *flags)
    done = python(*command, cwd=folder, timeout=900)
    assert done.returncode == 0, done.stderr
    path = run_path(done.stdout, folder)
    before = contents(path)
    again = python(*command, cwd=folder, timeout=900)
    assert again.returncode == 0, again.stderr
    return path, done.stdout, before, contents(path)


def contents(path):
    names = ("verdict.json", "curves.csv", "pretraining.csv", "results.csv", "cells.jsonl")
    names += ("figures/label_efficiency.png", "figures/claims.svg")
    return {name: (path / name).read_bytes() for name in names}


@pytest.mark.slow
def test_the_smoke_preset_ends_in_verdicts_and_figures(smoke):
    path, out, _, _ = smoke
    assert "target     near: mnist1d_near, 10 classes" in out
    assert (path / "figures" / "label_efficiency.png").stat().st_size > 10_000
    verdicts = json.loads((path / "verdict.json").read_text())["verdicts"]
    ids = {each["claim"] for each in verdicts}
    assert {"near-5", "near-50", "near-labels-saved", "batch-frozen-probe", "sam-fine-tuned"} <= ids


@pytest.mark.slow
def test_every_arm_has_a_row_also_that_from_a_file(smoke):
    path, _, _, _ = smoke
    with (path / "curves.csv").open() as file:
        rows = [
            (row["target"], int(row["labels_per_class"]), row["arm"])
            for row in csv.DictReader(file)
        ]
    every = (SCRATCH, PROBE, PARTIAL, FULL, OUTSIDE)
    assert sorted(rows) == sorted((NEAR, count, name) for count in (5, 50) for name in every)
    with (path / "pretraining.csv").open() as file:
        assert {row["pretraining"] for row in csv.DictReader(file)} == {SMALL, LARGE, SAM}


@pytest.mark.slow
def test_the_same_command_changes_nothing(smoke):
    _, _, before, after = smoke
    assert before == after


def planted(few=8.0, many=0.0, destroyed=-6.0, batch=2.0, sam=2.0, spread=0.3, seeds=6):
    """Curves with these gains, in points, and so much noise."""
    rng = np.random.default_rng(0)
    config = TransferConfig()
    scratch = dict(zip(LABELS, (20.0, 30.0, 40.0, 60.0, 90.0), strict=True))
    extra = {LARGE: -batch, SAM: sam}

    def level(arm):
        base = scratch[arm.labels]
        if arm.name == SCRATCH:
            return base
        if arm.target == DESTROYED:
            return base + destroyed
        return base + (few if arm.labels <= 50 else many) + extra.get(arm.source, 0)

    accuracy = {arm: level(arm) + spread * rng.normal(size=seeds) for arm in arms(config)}
    source = {name: 90 + rng.normal(size=seeds) for name in (SMALL, LARGE, SAM)}
    return Curves(LABELS, (NEAR, FAR, DESTROYED), accuracy, source, 0)


def verdicts(curves):
    return {claim.id: verdict.verdict for claim, verdict in judge(curves, 20)}


def test_planted_transfer_is_found():
    found = verdicts(planted())
    batch = [found.pop(f"batch-{name}") for name in ("frozen-probe", "fine-tuned")]
    assert batch == [
        JUDGED_PARTIAL,
        JUDGED_PARTIAL,
    ]  # for want of tuning
    assert set(found.values()) == {PASS}
    assert len(found) == 14


def test_a_world_without_transfer_fails_each_claim():
    found = verdicts(planted(few=-3, many=5, destroyed=3, batch=-2, sam=-2))
    assert set(found.values()) == {FAIL}


def test_a_noisy_world_decides_nothing_about_pretraining():
    found = verdicts(planted(batch=0.3, sam=0.3, spread=4.0))
    assert {
        found[f"{key}-{name}"]
        for key in ("batch", "sam")
        for name in ("frozen-probe", "fine-tuned")
    } == {INCONCLUSIVE}


def test_the_factor_of_labels_is_that_of_the_planted_curve():
    """Scratch rises by 10 points from 20 to 50 labels: 5 points more are half of that, in logs."""
    curves = planted(few=5.0, spread=0.0)
    factors, bounds = curves.factors(NEAR, 20, FULL)
    np.testing.assert_allclose(factors, np.sqrt(50 / 20))
    assert bounds == 0
    above = replace(
        curves, accuracy=curves.accuracy | {Arm(NEAR, 20, FULL, SMALL): np.full(6, 95.0)}
    )
    factors, bounds = above.factors(NEAR, 20, FULL)
    np.testing.assert_allclose(factors, 1000 / 20)
    assert bounds == 6


def test_failed_runs_are_said_and_tables_have_every_arm():
    curves = replace(planted(), failed=3)
    said = findings(curves, judge(curves, 20), 20, "run")
    assert said.lines == ["3 runs on targets failed and count as guessing"]
    assert len(said.tables["curves"].rows) == 3 * 5 * 4
    assert len(said.tables["pretraining"].rows) == 3 * 2 * 2
    assert said.figures["label_efficiency"].png.startswith(b"\x89PNG")


def test_pretrainings_differ_in_batch_rate_and_gradient_alone():
    sweeps = pretrainings(TransferConfig())
    assert {name: each.grid.batch_sizes for name, each in sweeps.items()} == {
        SMALL: (32,),
        LARGE: (500,),
        SAM: (32,),
    }
    assert sweeps[SAM].training.sharpness_aware == "sam"
    assert replace(sweeps[SAM], training=sweeps[SMALL].training) == sweeps[SMALL]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: TargetsConfig(labels=(5,)), "--labels=5: a curve needs 2 or more"),
        (lambda: TargetsConfig(compared_labels=7), "--compared_labels=7: not one of --labels=5,20"),
        (lambda: TargetsConfig(near="none", far="none", destroyed="none"), "no target left"),
        (lambda: TargetsConfig(seeds=(1,)), "intervals need 2 or more"),
        (lambda: SourcesConfig(small_batch=500), "must be below --large_batch=500"),
        (lambda: SourcesConfig(weight_map="m.json"), "belongs to a file; set --initial_weights"),
        (lambda: changed("task", trainable="head"), "--trainable=head: each arm has its own"),
        (lambda: changed("training", sharpness_aware="sam"), "pretrainings differ in it"),
        (lambda: changed("record", snapshots=0), "--snapshots=0: targets start from them"),
        (lambda: targets(near="fashion_mnist"), "--near=fashion_mnist: holds 28×28 image data"),
        (lambda: targets(near="mnist1d", labels=(5, 1000), compared_labels=5),
         "--labels=1000: --near=mnist1d has 4,000 training examples of 10 classes"),
        (lambda: targets(near="mnist1d_infinite"), "--labels=1000: --near=mnist1d_infinite"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_line(build, words):
    with pytest.raises(UserError) as caught:
        build()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def changed(group, **values):
    config = TransferConfig()
    return replace(config, **{group: replace(getattr(config, group), **values)})


def targets(**values):
    config = TransferConfig(targets=TargetsConfig(far="none", destroyed="none", **values))
    return check_targets(config, load("mnist1d"))


@pytest.mark.slow
def test_the_command_line_refuses_bad_weights_before_it_trains(python, one_line, tmp_path):
    (tmp_path / "net.npz").write_bytes(b"no archive")
    flags = ("--preset=smoke", "--initial_weights=net.npz")
    done = python(SCRIPT, *flags, cwd=tmp_path)
    assert done.returncode == 2
    assert "--initial_weights=net.npz: is not an npz archive" in one_line(done.stderr)
    assert not (tmp_path / "runs").exists()


def test_presets_are_configs():
    assert set(PRESETS) == {"smoke", "laptop", "gpu", "pod"}
