"""Learned features as a user runs it, what it wrote recomputed from its runs, and its claims."""

import csv
import dataclasses
import hashlib
import json
import os
import re
from functools import partial

import numpy as np
import pytest

from minima.claims.claim import FAIL, PASS
from minima.claims.ingredients import ANSWERS, Curves, Named, name_ingredient
from minima.record import results
from minima.runtime.errors import UserError
from minima.sweep.config import TaskConfig
from parts.learned_features.claims import judge
from parts.learned_features.config import (
    DEEP,
    ENGINEERED,
    NETWORK,
    PIXELS,
    PRESETS,
    LearnedFeaturesConfig,
)
from parts.learned_features.faults import FAULTS, parse_faults
from parts.learned_features.readings import LOG, Answers, Probes
from parts.learned_features.tables import blind_spots, faults_table

slow = pytest.mark.slow
FIGURES = ("sizes", "layers", "ingredients", "curves", "claims")


@pytest.fixture(scope="module")
def features(python, script):
    return partial(python, script.parent / "learned_features.py", timeout=600)


@pytest.fixture(scope="module")
def smoke(features, run_path, tmp_path_factory):
    """The smoke preset, run once: what it printed, where it ran, the run and its verdict."""
    cwd = tmp_path_factory.mktemp("features")
    result = features("--preset=smoke", cwd=cwd)
    assert (result.returncode, result.stderr.count("rror")) == (0, 0), result.stderr
    run = run_path(result.stdout, cwd)
    return result.stdout, cwd, run, json.loads((run / "verdict.json").read_text())


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


# --- what a finished run says ----------------------------------------------------------------


@slow
def test_files_are_there_and_named(smoke):
    out, cwd, run, verdict = smoke
    names = ["verdict.json", "sizes.csv", "layers.csv", "faults.csv"]
    names += [f"figures/{figure}.png" for figure in FIGURES]
    for name in names:
        assert str((run / name).relative_to(cwd)) in out
        assert (run / name).stat().st_size > 0
    assert all((run / f"figures/{figure}.svg").exists() for figure in FIGURES)
    assert verdict["verdicts"]
    assert "first" not in out.splitlines()[0].split()  # a table, not the plan of every sweep


@slow
def test_accuracies_are_those_of_the_runs(smoke):
    _, _, run, verdict = smoke
    for row in rows(run / "sizes.csv"):
        found = [
            100
            * results.load(run.parent / verdict["runs"][f"{row['features']} 100 {draw}"])
            .table("test_accuracy")
            .item()
            for draw in (1, 2)
        ]
        assert float(row["accuracy_percent"]) == pytest.approx(np.mean(found))
        assert (float(row["least"]), float(row["most"])) == pytest.approx((min(found), max(found)))


@slow
def test_the_diagnosis_follows_from_the_curves(smoke):
    _, _, run, verdict = smoke
    table = {row["system"]: row for row in rows(run / "faults.csv")}
    assert list(table) == PRESETS["smoke"]["faults"].split(",")
    logs = {
        name: [results.load(run.parent / verdict["runs"][name]).curves(x)[0, 0] for x in LOG]
        for name in table
    }
    attainable = np.median(logs["in order"][3][:, -1])
    assert verdict["attainable"] == pytest.approx(attainable)
    total = dict.fromkeys(ANSWERS, 0)
    for name, log in logs.items():
        said = [
            name_ingredient(Curves(*(curve[seed].tolist() for curve in log)), 10, attainable)
            for seed in (0, 1)
        ]
        for answer in ANSWERS:
            count = sum(each.ingredient == answer for each in said)
            assert int(table[name][f"said_{answer}"]) == count
            total[answer] += count
    confusion = verdict["confusion"]
    assert {a: sum(row[a] for row in confusion.values()) for a in ANSWERS} == total


@slow
def test_the_same_command_changes_nothing(features, smoke):
    _, cwd, run, _ = smoke

    def content():
        files = [run / "verdict.json", *run.glob("*.csv"), *run.parent.glob("*/cells.jsonl")]
        return {f: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}

    before = content()
    again = features("--preset=smoke", cwd=cwd)
    assert again.returncode == 0
    assert not re.search(r"^\d+ of \d+: ", again.stdout, re.MULTILINE)  # nothing is trained
    assert content() == before


# --- what a user can get wrong ---------------------------------------------------------------


@slow
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--dataset=mnist1d",), "engineered features are of images"),
        (("--sizes=100,5000",), "--train_examples=5000"),
    ],
)
def test_data_that_do_not_fit_are_one_line_before_anything_runs(
    features, one_line, tmp_path, flags, said
):
    result = features("--preset=smoke", *flags, cwd=tmp_path)
    assert result.returncode == 2
    assert said in one_line(result.stderr)
    assert not list(tmp_path.rglob("cells.jsonl"))


@slow
def test_without_scikit_image_nothing_is_trained(features, one_line, tmp_path, monkeypatch):
    broken = tmp_path / "path" / "skimage"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError\n")
    path = os.pathsep.join([str(broken.parent), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    result = features("--preset=smoke", cwd=tmp_path)
    assert result.returncode == 2
    assert "pip install 'minima[features]'" in one_line(result.stderr)
    assert not list(tmp_path.rglob("cells.jsonl"))


@pytest.mark.parametrize(
    ("group", "changes", "flag"),
    [
        ("task", {"train_examples": 10}, "--train_examples=10"),
        ("task", {"validation_fraction": 0.0}, "--validation_fraction=0"),
        ("task", {"model": "linear"}, "--model=linear"),
        ("features", {"draws": (1, 100)}, "--choosing_draws=100"),
        ("record", {"snapshots": 0}, "--snapshots=0"),
    ],
)
def test_what_leaves_a_comparison_without_a_side_is_refused(group, changes, flag):
    config = LearnedFeaturesConfig()
    with pytest.raises(UserError, match=flag):
        dataclasses.replace(
            config, **{group: dataclasses.replace(getattr(config, group), **changes)}
        )


def test_what_only_the_network_has_is_not_asked_of_the_other_arms():
    asked = TaskConfig(
        dataset="cifar10", model="resnet", depth=2, norm="group", augmentation="shift"
    )
    config = LearnedFeaturesConfig(task=asked)
    tasks = [config.arm_sweep(arm, 300, 4, arm.rates, (0,)).task for arm in config.arms]
    assert [task.model for task in tasks] == ["resnet", "linear", "linear"]
    assert [task.dataset for task in tasks] == [
        "draw4:cifar10",
        "draw4:hog:cifar10",
        "draw4:cifar10",
    ]
    assert tasks[0] == dataclasses.replace(asked, dataset="draw4:cifar10", train_examples=300)
    for task in (*tasks[1:], config.deep_sweep().task):
        assert (task.norm, task.augmentation) == ("default", "none")
    assert config.deep_sweep().task.depth == config.features.deep_layers


def test_faults_are_known_by_name():
    assert parse_faults("in order, linear") == ("in order", "linear")
    with pytest.raises(ValueError, match="did you mean linear"):
        parse_faults("in order,linaer")
    with pytest.raises(ValueError, match="'in order'"):
        parse_faults("linear")


def test_every_preset_is_a_config_of_known_flags():
    assert set(PRESETS) == {"smoke", "laptop", "gpu", "pod"}
    assert not PRESETS["laptop"]


def test_every_ingredient_breaks_in_several_ways():
    kinds = [fault.ingredient for fault in FAULTS]
    assert set(kinds) == set(ANSWERS)
    assert all(kinds.count(answer) >= 3 for answer in ANSWERS)
    assert {fault.ingredient for fault in FAULTS if fault.new} == set(ANSWERS)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


# --- claims on planted numbers ---------------------------------------------------------------


def planted(ahead, rising, wrong):
    """Six draws: how far learned features are ahead, how read-outs rise, how many are misnamed."""
    noise = np.random.default_rng(0).normal(scale=0.2, size=(4, 6))
    base = np.array([[70.0], [85.0]])
    found = {
        NETWORK: base + np.array([[-ahead], [ahead]]) + noise[:2],
        ENGINEERED: base + noise[2:],
        PIXELS: base - 3.0 + noise[2:],
    }
    up = 80 + rising * np.arange(3)[None] + noise[:3].T
    probes = Probes(
        "cnn", up - 2 * rising * np.arange(3)[None], up, np.full(6, 84.0), np.full(6, 81.0)
    )
    answers = [
        Answers(
            fault,
            [
                Named("data" if fault.ingredient != "data" else "none", "")
                if i < wrong
                else Named(fault.ingredient, "")
                for i in range(20)
            ],
            {},
        )
        for fault in FAULTS
    ]
    return (100, 4000), found, {NETWORK: probes, DEEP: probes}, answers


def verdicts(*arguments):
    return {verdict.claim: verdict.verdict for _, verdict in judge(*planted(*arguments))}


def test_what_is_planted_is_found():
    found = verdicts(2.0, 2.0, 0)
    assert set(found.values()) == {PASS}
    assert len(found) == 2 + 1 + 2 * 4 + 4


def test_the_opposite_fails():
    found = verdicts(-2.0, -2.0, 19)
    assert found["learned features win at 4,000"] == FAIL
    assert found["engineered features win at 100"] == FAIL
    assert found["cnn: trained layers rise"] == FAIL
    assert found["cnn: untrained layers fall"] == FAIL
    assert found["kinds of fault that the rules know"] == FAIL
    assert found["better than guessing"] == FAIL
    assert found["no false alarm"] == FAIL


def test_blind_spots_are_named_and_the_table_counts():
    *_, answers = planted(2.0, 2.0, 15)
    lines = blind_spots(answers)
    assert len(lines) == len(FAULTS)
    assert all("looks like" in line for line in lines)
    assert not blind_spots(planted(2.0, 2.0, 3)[3])
    table = faults_table(answers)
    assert [row[0] for row in table.rows] == [fault.name for fault in FAULTS]
    right = table.columns.index("right_percent")
    assert {row[right] for row in table.rows} == {25.0}
