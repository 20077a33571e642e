"""Sharp against flat: planted minima, whose verdicts are known; and the smoke preset."""

import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from minima.claims.claim import FAIL, PASS
from minima.landscape.split import parts
from minima.runtime.errors import UserError
from minima.sweep.budgets import parse_budget
from minima.sweep.config import TrainingConfig
from parts.sharp_vs_flat.arms import Minima
from parts.sharp_vs_flat.association import associate, taus
from parts.sharp_vs_flat.claims import judge, ratio_interval
from parts.sharp_vs_flat.config import ArmsConfig, ControlsConfig, SharpConfig
from parts.sharp_vs_flat.findings import Findings
from parts.sharp_vs_flat.panels import SHARPNESS
from parts.sharp_vs_flat.report import conclusions
from parts.sharp_vs_flat.split import PARTS, spread

SEEDS, TESTS = 10, 400
RNG = np.random.default_rng(0)


def minima(name="", factor=1.0, accuracy=0.7, **values):
    """An arm whose every sharpness is `factor`, but for those given, with a little luck."""
    luck = np.exp(0.05 * RNG.normal(size=SEEDS))
    measured = {n: factor * luck for n in (*SHARPNESS, "loss")} | values
    hits = 100.0 * (RNG.random((SEEDS, TESTS)) < accuracy)
    arm = SimpleNamespace(name=name, place=(32, 0.1))
    unsure = {n: np.zeros(SEEDS, bool) for n in measured}
    return Minima(arm, hits, measured, unsure)


def findings(large, tuned, **others):
    main = {"small": minima("small"), "large": large, "tuned": tuned}
    nothing = dict.fromkeys(("noisy", "noisy_sam", "random", "true"))
    return Findings(
        None,
        main,
        switched={},
        plane=(),
        parts={"large": None, "tuned": None},
        **(nothing | others),
    )


def verdicts(found):
    return {claim.id: verdict.verdict for claim, verdict in judge(found)}


def test_a_minimum_that_is_sharper_by_every_measure():
    found = findings(minima("large", 4.0, 0.6), minima("tuned", 0.25))
    judged = verdicts(found)
    assert {judged[f"equal rate: {name}"] for name in SHARPNESS} == {PASS}
    assert {judged[f"tuned rate: {name}"] for name in SHARPNESS} == {FAIL}
    assert judged["equal rate: accuracy"] == PASS
    words = list(conclusions(found, judged))
    assert words[0] == "equal rate: the large batch is sharper by every measure, in every gauge"
    assert words[1] == "tuned rate: the large batch is not sharper by any measure, in any gauge"


def test_words_go_no_further_than_the_gauges():
    mixed = minima("large", 4.0, trace_canonical=np.full(SEEDS, 0.25))
    found = findings(mixed, minima("tuned"))
    words = list(conclusions(found, verdicts(found)))
    assert words[0].startswith("equal rate: whether the large batch is sharper depends on the")
    assert "no by trace (canonical)" in words[0]


def test_a_ratio_needs_every_seed():
    bad = np.ones(SEEDS)
    bad[3] = -1e-9
    assert ratio_interval(minima(trace=bad), minima(), "trace") is None
    assert ratio_interval(minima(factor=2.0), minima(), "trace").estimate == pytest.approx(
        1, abs=0.1
    )


def test_parts_of_a_ratio_add_up_and_are_in_doublings():
    logs = [np.log(2.0) * np.full((SEEDS, 2), value) for value in (4, 1, 2, 0.5)]
    found = spread(parts(*logs))["trace"]
    estimates = {part: found[part].estimate for part in PARTS}
    assert estimates == pytest.approx({"norm": 0.5, "confidence": 3, "shape": 0.5})
    assert sum(estimates.values()) == pytest.approx(found["total"].estimate)
    assert found["norm first"].estimate == pytest.approx(2)


def test_a_split_needs_every_seed():
    logs = [np.zeros((SEEDS, 2)) for _ in range(4)]
    logs[0][3, 0] = np.nan
    assert spread(parts(*logs)) is None


def plane(measure):
    """Minima over batch sizes and rates whose gap falls in the rate, and a measure of it."""
    runs = []
    for size in (32, 512):
        for rate in (0.1, 0.2, 0.4, 0.8, 1.6):
            gap = 30 - 10 * rate + 0.01 * RNG.normal(size=SEEDS)
            finals = {"train_accuracy": 0.9 + 0 * gap, "test_accuracy": 0.9 - gap / 100}
            one = minima(trace=measure(gap, rate), loss=RNG.random(SEEDS))
            arm = SimpleNamespace(place=(size, rate), final=finals.get)
            runs.append(Minima(arm, one.hits, one.values, one.unsure))
    return tuple(runs)


def test_a_measure_that_is_the_gap_and_one_that_is_its_opposite():
    same, opposite = plane(lambda gap, _: gap), plane(lambda gap, _: -gap)
    assert taus(same, "trace") == pytest.approx(np.ones(SEEDS))
    found = associate(opposite, "trace")
    assert (found.tau.estimate, found.worst) == pytest.approx((-1, 1))
    assert associate(same, "trace").psi.estimate == pytest.approx(1)


def test_a_measure_that_follows_the_rate_alone_explains_nothing_beyond_it():
    found = associate(plane(lambda gap, rate: 1 / rate + 1e-4 * RNG.normal(size=SEEDS)), "trace")
    assert found.tau.estimate > 0.7
    assert found.partial is None or found.partial.low < 0 < found.partial.high


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ArmsConfig(small_batch=512), "--small_batch=512: must be below --large_batch=512"),
        (lambda: ArmsConfig(climbed=24), "--climbed=24: must divide --small_batch=32"),
        (
            lambda: SharpConfig(controls=ControlsConfig(noise_climbed=5)),
            "--noise_climbed=5: must divide --small_batch=32",
        ),
        (
            lambda: SharpConfig(training=TrainingConfig(label_noise=0.1)),
            "--label_noise=0.1: is what some of the runs here differ in; leave it out",
        ),
        (
            lambda: SharpConfig(
                training=TrainingConfig(budget=parse_budget("5epochs,early_stopping=2"))
            ),
            "--budget=5epochs,early_stopping=2: minima are compared after the same examples",
        ),
        (
            lambda: SharpConfig(training=TrainingConfig(decay="cosine")),
            "--decay, --milestones: runs are switched halfway",
        ),
    ],
)
def test_what_cannot_be_compared(make, words):
    with pytest.raises(UserError) as error:
        make()
    assert str(error.value).startswith(words)


@pytest.mark.slow
def test_the_smoke_preset(python, script, run_path, tmp_path):
    run = partial(python, script.parent / "sharp_vs_flat.py", "--preset=smoke", timeout=400)
    first = run(cwd=tmp_path)
    assert (first.returncode, first.stderr.count("rror")) == (0, 0), first.stderr
    folder = run_path(first.stdout, tmp_path)
    verdict = (folder / "verdict.json").read_bytes()
    content = json.loads(verdict)
    assert set(content["ratios"]["equal rate"]) == set(SHARPNESS)
    # What no gauge changes the attacker can't turn around; the trace it can.
    rows = {row["name"]: row for row in content["attack"]}
    assert rows["adaptive_sharpness"]["invariant"]
    assert rows["trace"]["flipped"]
    for split in content["split"]["equal rate"].values():
        total = sum(split[part]["estimate"] for part in PARTS)
        assert total == pytest.approx(split["total"]["estimate"])
    names = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert names >= {"ratios", "gap", "slices", "surfaces", "paths", "spectra"}
    # Again: nothing is trained or measured a second time, and the verdict is the same to the byte.
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("measures.jsonl")}
    second = run(cwd=tmp_path)
    assert second.returncode == 0
    assert (folder / "verdict.json").read_bytes() == verdict
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("measures.jsonl")}
