"""The audit on planted faults: each is blocked for its own reason, and clean systems pass."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from minima.evaluation.audit import (
    BLOCKED,
    CONFIDENCE,
    COVERAGE,
    GROUPS,
    NOT_ANSWERABLE,
    OK,
    QUESTIONS,
    SHORTCUTS,
    SIGN_OFF,
    audit,
    make_evidence,
)
from minima.runtime.errors import UserError

CITIES = [f"city {number}" for number in range(8)]


@dataclasses.dataclass
class System:
    """A model whose confidence is right, equal for all, and its test set."""

    rng: np.random.Generator
    n: int = 12_000

    def __post_init__(self):
        rng, n = self.rng, self.n
        self.logit = rng.normal(0, 2.2, n)
        self.labels = (rng.random(n) < sigmoid(self.logit)).astype(int)
        self.race, self.sex = rng.choice(["a", "b", "c"], n), rng.choice(["f", "m"], n)
        self.ruler = np.where(rng.random(n) < 0.8, self.labels, 1 - self.labels)
        self.city = rng.choice(CITIES, n)
        self.income = rng.normal(size=n)
        self.deployed = {"city": rng.choice(CITIES, 3000), "income": rng.normal(size=3000)}

    @property
    def groups(self):
        return {"race": self.race, "sex": self.sex}

    def audit(self, **changes):
        columns = {
            "groups": self.groups,
            "cues": {"ruler": self.ruler},
            "covered": {"city": self.city, "income": self.income},
            "deployed": self.deployed,
        }
        evidence = make_evidence(
            self.labels, sigmoid(self.logit), threshold=0.5, **columns | changes
        )
        return audit(evidence)


def sigmoid(t):
    return 1 / (1 + np.exp(-t))


def redraw(system, probability):
    """Labels anew, from other probabilities than those that the model says."""
    system.labels = (system.rng.random(system.n) < probability).astype(int)


# name -> (what is broken, the question that must find it)
def more_cities(s):
    s.deployed["city"] = s.rng.choice([*CITIES, *(f"city {n}" for n in range(8, 15))], 3000)


def a_weak_city(s):
    weak = s.city == "city 3"
    flipped = weak & (s.rng.random(s.n) < 0.3)
    s.labels = np.where(flipped, 1 - s.labels, s.labels)


def richer_people(s):
    s.deployed["income"] = s.rng.normal(0.6, 1, 3000)


def other_spread(s):
    s.deployed["income"] = s.rng.normal(0, 2, 3000)


def leans_on_the_ruler(s):
    s.logit = s.logit + 2.0 * (2 * s.ruler - 1)


def is_the_ruler(s):
    s.logit = np.where(s.ruler == 1, 2.0, -2.0) + 0.01 * s.logit


def rejects_a_race(s):
    s.logit = s.logit - 1.5 * (s.race == "a")


def favours_men(s):
    s.logit = s.logit + 1.2 * (s.sex == "m")


def misses_one_race(s):
    missed = (s.race == "b") & (s.labels == 1) & (s.rng.random(s.n) < 0.3)
    s.logit = np.where(missed, -np.abs(s.logit), s.logit)


def accuses_one_race(s):
    accused = (s.race == "c") & (s.labels == 0) & (s.rng.random(s.n) < 0.3)
    s.logit = np.where(accused, np.abs(s.logit), s.logit)


def rejects_an_intersection(s):
    s.logit = s.logit - 2.0 * ((s.race == "a") & (s.sex == "f"))


def is_overconfident(s):
    s.logit = 3 * s.logit


def is_underconfident(s):
    s.logit = s.logit / 4


def is_wrong_about_one_group(s):
    redraw(s, np.where(s.sex == "f", sigmoid(s.logit / 4), sigmoid(s.logit)))


FAULTS = {
    more_cities: COVERAGE,
    a_weak_city: COVERAGE,
    richer_people: COVERAGE,
    other_spread: COVERAGE,
    leans_on_the_ruler: SHORTCUTS,
    is_the_ruler: SHORTCUTS,
    rejects_a_race: GROUPS,
    favours_men: GROUPS,
    misses_one_race: GROUPS,
    accuses_one_race: GROUPS,
    rejects_an_intersection: GROUPS,
    is_overconfident: CONFIDENCE,
    is_underconfident: CONFIDENCE,
    is_wrong_about_one_group: CONFIDENCE,
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_every_planted_fault_is_blocked_for_its_reason(fault):
    for seed in range(3):
        system = System(np.random.default_rng(seed))
        fault(system)
        found = system.audit()
        assert found.verdict == BLOCKED
        assert found.answer(FAULTS[fault]) == BLOCKED
        assert all(finding.needed for finding in found.reasons())


def test_clean_systems_pass():
    runs = 20
    passed = sum(
        System(np.random.default_rng(seed)).audit().verdict == SIGN_OFF for seed in range(runs)
    )
    assert passed >= stats.binom.ppf(0.001, runs, 0.95)


def test_small_systems_are_not_passed_and_seldom_blocked():
    runs, blocked = 20, 0
    for seed in range(runs):
        found = System(np.random.default_rng(seed), n=500).audit()
        assert found.verdict != SIGN_OFF
        assert all(finding.needed for finding in found.reasons(NOT_ANSWERABLE))
        blocked += found.verdict == BLOCKED
    assert blocked <= stats.binom.ppf(0.999, runs, 0.15)  # three questions at 5 %


@pytest.mark.parametrize(
    ("silence", "question"),
    [
        ({"groups": {}}, GROUPS),
        ({"groups": {"race": np.repeat("a", 12_000)}}, GROUPS),
        ({"cues": {}}, SHORTCUTS),
        ({"covered": {}}, COVERAGE),
        ({"deployed": {}}, COVERAGE),
    ],
)
def test_silence_is_never_a_pass(silence, question):
    found = System(np.random.default_rng(0)).audit(**silence)
    assert found.answer(question) == NOT_ANSWERABLE
    assert found.verdict == NOT_ANSWERABLE
    others = set(QUESTIONS) - {question}
    assert {found.answer(other) for other in others} == {OK}


def test_a_cue_that_never_goes_against_its_label_is_not_answerable():
    system = System(np.random.default_rng(0))
    system.ruler = system.labels
    found = system.audit()
    assert found.answer(SHORTCUTS) == NOT_ANSWERABLE
    [finding] = found.reasons(NOT_ANSWERABLE)
    assert "collect 100 examples in which ruler goes against" in finding.needed


def test_a_small_group_is_not_answerable_and_named():
    system = System(np.random.default_rng(0))
    system.race = np.where(np.arange(system.n) < 20, "d", system.race)
    found = system.audit()
    assert found.answer(GROUPS) == NOT_ANSWERABLE
    assert any(" d" in finding.evidence for finding in found.reasons(NOT_ANSWERABLE))


def test_several_classes():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (6000, 3))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) > rng.random(6000)[:, None]).argmax(axis=1)
    race = rng.choice(["a", "b"], 6000)
    found = audit(make_evidence(labels, p, groups={"race": race}))
    assert (found.answer(GROUPS), found.answer(CONFIDENCE)) == (OK, OK)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([0, 1], [0.5, 0.5]), "probabilities: are the same for every example"),
        (([0, 1], [0.2, 1.2]), "probabilities: holds 1.2"),
        (([0, 1, 1], [0.2, 0.9]), "probabilities: has 2 examples where labels have 3"),
    ],
)
def test_bad_input_is_one_line(arguments, says):
    with pytest.raises(UserError) as raised:
        make_evidence(*arguments)
    assert says in str(raised.value)


def test_a_threshold_is_for_two_classes():
    with pytest.raises(UserError, match=r"threshold 0.5: goes with two classes"):
        make_evidence([0, 1], [[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]], threshold=0.5)
