"""The four questions before release, asked of a model's predictions on its test set.

What does the test set not cover? Which shortcuts may the model have learned? Are outcomes equal
across groups? Is its confidence honest? Each check answers with limits, not with a number alone:

    OK              the data exclude a fault of the size that matters
    BLOCKED         the data show one
    NOT ANSWERABLE  they do neither, or are missing; says what would do

Silence is never a pass: a question without any check is not answerable. SIGN OFF needs four OKs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minima.evaluation import arrays
from minima.evaluation.limits import Limits
from minima.runtime.errors import UserError

OK, BLOCKED, NOT_ANSWERABLE = "OK", "BLOCKED", "NOT ANSWERABLE"
SIGN_OFF = "SIGN OFF"
Columns = Mapping[str, Sequence[object] | ArrayLike]
COVERAGE, SHORTCUTS, GROUPS, CONFIDENCE = "coverage", "shortcuts", "groups", "confidence"
QUESTIONS = {
    COVERAGE: "What does the test set not cover that the deployment will bring?",
    SHORTCUTS: "Which shortcuts may the model have learned?",
    GROUPS: "Are outcomes equal across groups?",
    CONFIDENCE: "Is its confidence honest?",
}


@dataclass(frozen=True)
class Evidence:
    """What a release rests on. All arrays are of the same n test examples.

    Attributes:
      labels: (n,) classes from 0.
      probabilities: (n, classes).
      decided: (n,) classes that the system decides: the likeliest, or by the threshold in use.
      groups: (n,) values by attribute: people who must be treated alike.
      cues: (n,) values by name: what may go with the label by accident.
      covered: (n,) values by name, of what the deployment varies in: cities, scanners, months.
      deployed: (m,) the same names, as the deployment has them; m may differ by name.
    """

    labels: arrays.Ints
    probabilities: arrays.Floats
    decided: arrays.Ints
    groups: Mapping[str, NDArray] = field(default_factory=dict)
    cues: Mapping[str, NDArray] = field(default_factory=dict)
    covered: Mapping[str, NDArray] = field(default_factory=dict)
    deployed: Mapping[str, NDArray] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of test examples."""
        return len(self.labels)

    @property
    def right(self) -> arrays.Bools:
        """(n,) whether the decision is the label."""
        return self.decided == self.labels


def make_evidence(
    labels: ArrayLike,
    probabilities: ArrayLike,
    *,
    threshold: float | None = None,
    groups: Columns | None = None,
    cues: Columns | None = None,
    covered: Columns | None = None,
    deployed: Columns | None = None,
) -> Evidence:
    """Checks everything that `Evidence` holds.

    Args:
      labels: (n,) classes from 0.
      probabilities: (n, classes), or (n,) of class 1 of two.
      threshold: from which probability of class 1 the system decides 1; None for the likeliest.
      groups, cues, covered, deployed: see `Evidence`.

    Raises:
      UserError: arrays that don't fit, or a threshold for more than two classes.
    """
    p = arrays.probabilities(probabilities)
    y = arrays.class_labels(labels, p.shape[1])
    arrays.same_length(len(y), {"probabilities": p})
    decided = p.argmax(axis=1)
    if threshold is not None:
        if p.shape[1] != 2 or not 0 < threshold < 1:
            raise UserError(
                f"threshold {threshold:g}: goes with two classes, and lies between 0 and 1"
            )
        decided = (p[:, 1] >= threshold).astype(np.int64)
    if np.ptp(p[:, 0]) == 0:
        raise UserError("probabilities: are the same for every example; nothing can be audited")

    def checked(columns: Columns | None) -> dict[str, NDArray]:
        return {name: arrays.groups(v, len(y), name) for name, v in (columns or {}).items()}

    there = {name: np.asarray(values) for name, values in (deployed or {}).items()}
    there = {name: arrays.groups(v, v.size, f"deployment's {name}") for name, v in there.items()}
    return Evidence(y, p, decided, checked(groups), checked(cues), checked(covered), there)


@dataclass(frozen=True)
class Finding:
    """One check.

    Attributes:
      question: a key of QUESTIONS.
      check: what was asked, in a few words.
      verdict: OK, BLOCKED or NOT ANSWERABLE.
      evidence: what was found, with limits.
      needed: what would answer, where nothing did; or what would repair it.
    """

    question: str
    check: str
    verdict: str
    evidence: str
    needed: str = ""


@dataclass(frozen=True)
class Audit:
    """All findings on one model.

    Attributes:
      findings: in the order of QUESTIONS.
      examples: test examples.
      accuracy: on them.
    """

    findings: tuple[Finding, ...]
    examples: int
    accuracy: float

    def answer(self, question: str) -> str:
        """One question's: the worst of its checks."""
        found = {each.verdict for each in self.findings if each.question == question}
        return next((v for v in (BLOCKED, NOT_ANSWERABLE, OK) if v in found), NOT_ANSWERABLE)

    @property
    def verdict(self) -> str:
        """SIGN OFF, BLOCKED or NOT ANSWERABLE."""
        found = {self.answer(question) for question in QUESTIONS}
        return next((v for v in (BLOCKED, NOT_ANSWERABLE) if v in found), SIGN_OFF)

    def reasons(self, verdict: str = BLOCKED) -> list[Finding]:
        """The findings with this verdict."""
        return [each for each in self.findings if each.verdict == verdict]


def audit(evidence: Evidence, limits: Limits | None = None, seed: int = 0) -> Audit:
    """Asks all four questions.

    Args:
      evidence: what there is.
      limits: which faults matter; None for the defaults.
      seed: of bootstraps and permutations.
    """
    from minima.evaluation import audit_checks

    chosen = limits or Limits()
    findings = [
        *audit_checks.coverage(evidence, chosen),
        *audit_checks.shortcuts(evidence, chosen, seed),
        *audit_checks.groups(evidence, chosen),
        *audit_checks.confidence(evidence, chosen, seed),
    ]
    return Audit(tuple(findings), len(evidence), float(evidence.right.mean()))
