"""Fairness as a user runs it, its verdicts on planted numbers, and ProPublica's table of a twin."""

import csv
import dataclasses
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from absl import flags

import command_line
import lesson
from minima.evaluation.disparity import by_group
from minima.evaluation.impossibility import threshold_pairs
from minima.evaluation.proxies import Proxy
from minima.evaluation.ranking import auc
from minima.runtime.errors import UserError
from minima.sweep.config import RecordConfig, TaskConfig, TrainingConfig
from minima.tasks.datasets.credit import Settings, credit_table
from parts.fairness.claims import judge
from parts.fairness.compas import ALL_ROWS, FILTERED, propublicas_table
from parts.fairness.config import PRESETS, FairnessConfig, RepairsConfig
from parts.fairness.measured import (
    LEARNED_TRUTH,
    MEASURES,
    NO_ZIP,
    NOTHING,
    REVIEWED,
    REWEIGHED,
    SHARES,
    Measured,
    Review,
    parity,
    thresholds,
)
from parts.fairness.people import Unit, units
from parts.fairness.report import findings, groups_table
from parts.fairness.sweeps import sweeps

SCRIPT = Path(__file__).parents[2] / "experiments" / "fairness.py"
TABLES = ("groups", "gaps", "mitigations", "proxies", "review", "impossibility")
FIGURES = ("groups", "mitigations", "impossibility", "proxies")
CONFIG = FairnessConfig(RepairsConfig(draws=tuple(range(6)), strengths=(1.0, 10.0)))

# --- ProPublica's file, in a twin without any person ---------------------------------------------

# (race, another charge, high score, passes their filter) -> people; the sums are published.
TWIN = {
    ("African-American", 1, 1): (1369, 1188),
    ("African-American", 1, 0): (532, 473),
    ("African-American", 0, 1): (805, 641),
    ("African-American", 0, 0): (990, 873),
    ("Caucasian", 1, 1): (505, 414),
    ("Caucasian", 1, 0): (461, 408),
    ("Caucasian", 0, 1): (349, 282),
    ("Caucasian", 0, 0): (1139, 999),
    ("Hispanic", 0, 0): (40, 40),
}
HEAD = ("id,name,dob,race,score_text,two_year_recid,days_b_screening_arrest,is_recid,"
        "c_charge_degree,decile_score,decile_score")  # fmt: skip
SECRETS = ("Zebulon Quimby", "1951-02-29")


def compas_file(folder, change=None):
    lines = [HEAD]
    for (race, again, high), (count, kept) in TWIN.items():
        for i in range(count):
            days = "1" if i < kept else ("", "45", "1", "1")[i % 4]
            known = "-1" if i >= kept and i % 4 == 2 else str(again)
            degree = "O" if i >= kept and i % 4 == 3 else "F"
            score = ("Low", "High" if i % 2 else "Medium")[high]
            decile = ("2", "7")[high]
            row = (str(i), *SECRETS, race, score, str(again), days, known, degree, decile, decile)
            lines.append(",".join(row))
    path = folder / "compas.csv"
    text = "\n".join(lines) + "\n"
    path.write_text(change(text) if change else text)
    return str(path)


def test_propublicas_table_with_and_without_their_filter(tmp_path):
    tables = propublicas_table(compas_file(tmp_path))
    expected = {
        ALL_ROWS: ((3696, 0.4485, 0.2799), (2454, 0.2345, 0.4772)),
        FILTERED: ((3175, 0.4234, 0.2848), (2103, 0.2201, 0.4964)),
    }
    for name, (everybody, *groups) in tables.items():
        assert everybody.n == sum(group.n for group in groups) + 40
        for group, (n, false, missed) in zip(groups, expected[name], strict=True):
            # The twin's deciles are one for Low and one for the rest: a curve of one corner.
            corner = (1 - false + 1 - missed) / 2
            assert group.rates["auc"].value == pytest.approx(corner, abs=1e-4)
            assert group.n == n
            assert round(group.rates["false_positive_rate"].value, 4) == false
            assert round(group.rates["false_negative_rate"].value, 4) == missed


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("score_text", "scores"), "has no column score_text"),
        (lambda text: text.replace("Caucasian", "Other"), "has no rows of race Caucasian"),
        (lambda text: text.replace(",F,7,7", ",F,7", 1), "line 2 has 10 values"),
        (lambda text: text.replace(",F,7,7", ",F,7,8", 1), "decile_score comes twice, and line 2"),
        (lambda text: text.replace(",F,7,7", ",F,,"), "decile_score is empty in some rows"),
        (lambda text: text.replace(",1,1,F", f",{SECRETS[0]},1,F"), "words where numbers belong"),
        (lambda text: text.replace("Low,0,", "Low,7,"), "neither 0 nor 1"),
    ],
)
def test_files_of_propublica_that_do_not_fit(change, says, tmp_path):
    with pytest.raises(UserError) as raised:
        propublicas_table(compas_file(tmp_path, change))
    line = str(raised.value)
    assert line.startswith("--compas")
    assert says in line
    assert "\n" not in line
    assert not any(secret in line for secret in SECRETS)


# --- verdicts on planted measurements ------------------------------------------------------------


def planted(**changes):
    """What the experiment expects to find; a repair's measure in points is changed by its name."""
    rng = np.random.default_rng(0)
    table = credit_table("credit", "", Settings(num_train=400, num_test=1200))
    _, validation, test = table.splits(0.3)
    people = [Unit(k, f"past:{k}", 0, table, validation, test) for k in range(6)]
    base = {"accuracy_past": 85.0, "accuracy_truth": 85.0} | dict.fromkeys(MEASURES[2:], 30.0)
    effects = {
        NOTHING: {},
        REWEIGHED: {"selection_gap": 20.0},
        parity(1.0): {"accuracy_truth": 89.0, "selection_gap": 15.0},
        parity(1.0, True): {},
        parity(10.0): {"accuracy_past": 78.0, "accuracy_truth": 86.0, "selection_gap": 2.0},
        parity(10.0, True): {},
        thresholds("demographic_parity"): {"selection_gap": 1.0},
        thresholds("equal_opportunity"): {"opportunity_gap_past": 1.0},
        thresholds("equalized_odds"): {"odds_gap_past": 1.0},
        REVIEWED: {"accuracy_truth": 91.0, "opportunity_gap": 16.0},
        LEARNED_TRUTH: {"accuracy_past": 84.0, "accuracy_truth": 90.0, "opportunity_gap": 5.0},
        NO_ZIP: {"opportunity_gap": 11.0},
    }
    repairs = {
        name: {
            measure: changes.get(f"{name}: {measure}", mine.get(measure, base[measure]))
            + rng.normal(0, 0.05, 6)
            for measure in MEASURES
        }
        for name, mine in effects.items()
    }
    aucs = {"zip_code": changes.get("zip", 0.83), "property_value": 0.73, "debt": 0.53}
    pairs = threshold_pairs(test.truth, test.chance, test.attributes["group"], 20)
    equal = replace(pairs, precision=0 * pairs.precision,
                    false_negative_rate=0 * pairs.precision,
                    false_positive_rate=0 * pairs.precision)  # fmt: skip
    other = equal if changes.get("possible") else replace(equal, precision=equal.precision + 0.04)

    def review(how, share):
        gain = (20 if how == "least sure" else changes.get("random gain", 4)) * share
        jitter = rng.normal(0, 0.05, (3, 6))
        return Review(*(jitter + np.array([85 + gain, 30 - 10 * share, 1.0])[:, None]))

    return Measured(
        units=people,
        repairs=repairs,
        scores=test.chance,
        proxies=[[Proxy(name, auc, auc - 0.01, auc + 0.01) for name, auc in aucs.items()]] * 6,
        together=Proxy("all together", 0.85, 0.84, 0.86),
        without_first=Proxy("all together", 0.72, 0.7, 0.74),
        shuffled={name: rng.normal(30 - 20 * (name == "zip_code"), 0.1, 6) for name in aucs},
        reviews={(how, s): review(how, s) for how in ("least sure", "at random") for s in SHARES},
        pairs=[other] * 5 + [replace(other, precision=other.precision + 0.001)],
        shuffled_pairs=[equal] * 6,
        chouldechova=(changes.get("residual", 1e-16), 100),
        kleinberg=(1e-16, 12),
    )


def verdicts(found, compas=None):
    return {claim.id: verdict.verdict for claim, verdict in judge(found, CONFIG, compas)}


def test_what_is_planted_as_claimed_passes_and_is_presented(tmp_path, capsys):
    found = planted()
    compas = propublicas_table(compas_file(tmp_path))
    judged = judge(found, CONFIG, compas)
    told = {claim.id: verdict.verdict for claim, verdict in judged}
    assert {name: verdict for name, verdict in told.items() if verdict != "PASS"} == {}
    place = lesson.Place(tmp_path / "run", {"past:0": "a-run"}, "runs/a-run", tensorboard=False)
    place.directory.mkdir()
    lesson.present(place, findings(found, judged, CONFIG, compas))
    out = capsys.readouterr().out
    assert f"0 INCONCLUSIVE, {len(judged)} PASS" in out
    assert {path.stem for path in (place.directory / "figures").iterdir()} == set(FIGURES)
    for name in (*TABLES, "compas"):
        assert (place.directory / f"{name}.csv").stat().st_size > 200
    # Nothing of anybody's row is written or said.
    written = b"".join(p.read_bytes() for p in place.directory.rglob("*") if p.is_file())
    assert not any(secret in out or secret.encode() in written for secret in SECRETS)


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        ({f"{NOTHING}: opportunity_gap": 5.0}, "the-past-teaches-it"),
        ({f"{LEARNED_TRUTH}: accuracy_past": 86.0}, "judged-by-the-past-it-is-better"),
        ({f"{LEARNED_TRUTH}: accuracy_truth": 84.0}, "judged-by-the-truth-it-is-worse"),
        ({f"{NO_ZIP}: opportunity_gap": 5.0}, "leaving-it-out-is-not-enough"),
        ({f"{REWEIGHED}: selection_gap": 35.0}, "reweighing-narrows"),
        ({f"{parity(10.0)}: selection_gap": 9.0}, "parity-closes"),
        ({f"{parity(10.0)}: accuracy_past": 86.0}, "parity-costs-by-the-past"),
        ({f"{parity(1.0)}: accuracy_truth": 84.0}, "parity-gains-by-the-truth"),
        ({f"{parity(10.0)}: accuracy_truth": 90.0}, "parity-can-be-overdone"),
        ({f"{thresholds('equalized_odds')}: odds_gap_past": 9.0}, "thresholds-equalized-odds"),
        ({"zip": 0.6}, "zip-code-stands-in"),
        ({"random gain": 30}, "review-helps-where-unsure"),
        ({"possible": True}, "not-all-at-once"),
        ({"residual": 1e-9}, "chouldechovas-identity"),
    ],
)
def test_what_is_planted_otherwise_does_not_pass(change, claim):
    assert verdicts(planted(**change))[claim] == "FAIL"


def test_another_table_of_propublica_fails(tmp_path):
    more = compas_file(tmp_path, lambda text: text.replace("Caucasian,Low", "Caucasian,High", 40))
    told = verdicts(planted(), propublicas_table(more))
    assert told["propublica-positive-african"] == "PASS"
    assert told["propublica-negative-caucasian"] != "PASS"


def test_without_a_known_truth_nothing_is_said_of_it():
    found = planted()
    known = dataclasses.replace(found.units[0].table, knows_truth=False)
    people = [dataclasses.replace(unit, table=known) for unit in found.units]
    repairs = {k: v for k, v in found.repairs.items() if k not in (LEARNED_TRUTH, NO_ZIP)}
    told = verdicts(dataclasses.replace(found, units=people, repairs=repairs))
    assert not any("truth" in name or "past-teaches" in name for name in told)
    assert {"reweighing-narrows", "not-all-at-once", "features-tell-the-group"} <= set(told)


# --- what is planned -----------------------------------------------------------------------------


def test_the_frontier_of_a_draw_is_one_program_and_draws_are_alike():
    found = sweeps(CONFIG)
    assert len(found) == 18
    first = next(iter(found.values()))
    assert dict(first.grid.axes) == {"parity_penalty": (0, 1, 10), "reweighting": (0, 1)}
    assert [each.record.tensorboard for each in found.values()] == [True] + [False] * 17
    other = replace(CONFIG, training=TrainingConfig(parity="equal_opportunity"))
    parities = [each.training.parity for each in sweeps(other).values()]
    assert parities == ["equal_opportunity"] * 6 + ["demographic_parity"] * 12
    adult = replace(CONFIG, task=TaskConfig(dataset="adult"))
    assert [each.grid.seeds for each in sweeps(adult).values()] == [tuple(range(6))]
    assert not {0, 1} & set(FairnessConfig().repairs.draws)  # those settled strengths


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"task": TaskConfig(dataset="credit:3")}, "--dataset=credit:3"),
        ({"task": TaskConfig(dataset="credit_truth")}, "--dataset=credit_truth"),
        ({"task": TaskConfig(dataset="credit", validation_fraction=0)}, "--validation_fraction=0"),
        ({"task": TaskConfig(dataset="credit", train_examples=5)}, "--train_examples=5"),
        ({"repairs": RepairsConfig(strengths=(1.0,))}, "--strengths=1"),
        ({"repairs": RepairsConfig(judged_strength=7)}, "--judged_strength=7"),
        ({"training": TrainingConfig(parity_penalty=1.0)}, "--parity_penalty=1"),
        ({"record": RecordConfig(snapshots=0)}, "--snapshots=0"),
    ],
)
def test_configurations_that_leave_nothing_to_compare(change, flag):
    with pytest.raises(UserError) as raised:
        FairnessConfig(**change)
    assert str(raised.value).startswith(flag)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_can_be_planned(preset):
    values = flags.FlagValues()
    command_line.define(FairnessConfig, PRESETS, values)
    planned = sweeps(command_line.parse(["fairness", f"--preset={preset}"], values))
    assert all(len(each.make_grid()) for each in planned.values())


def table_of(folder, groups, labels):
    path = folder / "mine.csv"
    rows = [f"{y},{g},{i % 7}" for i, (y, g) in enumerate(zip(labels, groups, strict=True))]
    path.write_text("\n".join(["label,group,amount", *rows]) + "\n")
    return f"table:{path}"


@pytest.mark.parametrize(
    ("groups", "labels", "says"),
    [
        (["a"] * 60, [0, 1] * 30, "all rows are of group a"),
        (["a"] * 59 + ["b"], [0, 1] * 30, "of"),
        (["a", "b"] * 30, [0, 1] * 30, "groups are compared by both labels"),
    ],
)
def test_people_who_cannot_be_compared(groups, labels, says, tmp_path):
    config = FairnessConfig(task=TaskConfig(dataset=table_of(tmp_path, groups, labels)))
    with pytest.raises(UserError) as raised:
        units(config)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_data_without_people_end_in_a_line():
    with pytest.raises(UserError, match="has no groups of people"):
        units(FairnessConfig(task=TaskConfig(dataset="mnist1d")))


# --- end to end ----------------------------------------------------------------------------------


def run(workdir, *flags):
    command = [sys.executable, SCRIPT, f"--workdir={workdir}", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fairness")
    flags = ("--preset=smoke", f"--compas={compas_file(folder)}")
    return folder / "runs", flags, run(folder / "runs", *flags)


@pytest.mark.slow
def test_the_smoke_preset_end_to_end(smoke):
    workdir, flags, done = smoke
    assert done.returncode == 0, done.stderr
    (verdict,) = workdir.rglob("verdict.json")
    told = json.loads(verdict.read_text())
    entries = {entry["claim"]: entry["verdict"] for entry in told["verdicts"]}
    assert len(entries) == 25
    exact = [name for name in entries if name.startswith("propublica") or "identity" in name]
    assert len(exact) == 6
    assert all(entries[name] == "PASS" for name in exact)
    for name in (*TABLES, "compas"):
        assert (verdict.parent / f"{name}.csv").exists()
    for name in FIGURES:
        assert (verdict.parent / "figures" / f"{name}.png").stat().st_size > 5000
    # Every metric of every group and intersection, with limits.
    with (verdict.parent / "groups.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (2 + 4 + 8)
    for row in rows:
        low, value, high = (float(row[f"accuracy{end}"]) for end in ("_low", "", "_high"))
        assert low <= value <= high
        assert row["too_few"] == str(int(row["people"]) < 100)
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS)
    kept = [path for path in workdir.rglob("*") if path.is_file()]
    for secret in SECRETS:
        assert not any(secret.encode() in path.read_bytes() for path in kept)
    # The same command again says and writes the same.
    before = {path: path.read_bytes() for path in verdict.parent.glob("*.csv")}
    again = run(workdir, *flags)
    assert again.returncode == 0, again.stderr
    assert json.loads(verdict.read_text()) == told
    assert {path: path.read_bytes() for path in before} == before


def test_one_group_only_ends_in_a_line_and_exit_code_2(tmp_path):
    data = table_of(tmp_path, ["a"] * 60, [0, 1] * 30)
    done = run(tmp_path / "runs", "--preset=smoke", f"--dataset={data}")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "all rows are of group a" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_the_groups_table_is_the_librarys():
    found = planted()
    table = groups_table(found, 100)
    test = found.units[0].test
    expected = by_group(test.truth, found.decided, test.attributes["group"])
    place = table.columns.index("true_positive")
    mine = [row for row in table.rows if row[:2] == ["truth", "group"]]
    for row, group in zip(mine, expected, strict=True):
        rate = group.rates["true_positive_rate"]
        assert row[place : place + 4] == [rate.value, rate.low, rate.high, rate.n]
        of = test.attributes["group"] == group.name
        assert row[table.columns.index("auc")] == auc(test.truth[of], found.scores[of]).value
