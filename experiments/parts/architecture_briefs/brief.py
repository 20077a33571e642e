"""What a brief is: a sentence on its data, candidates, their scores, a recommendation by rule."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import jax
import numpy as np

from judged import Judged
from minima.claims.evidence import Floats
from minima.claims.seeded import Judge
from minima.runtime import costs
from minima.statistics.intervals import Interval, paired_interval, t_interval
from minima.sweep.config import SweepConfig
from minima.tasks.task import Task
from tuned import Trained

MARGIN = 1.0  # points that a simpler candidate may lose on the best


@dataclass(frozen=True)
class Scored:
    """A candidate and what was measured of it.

    Attributes:
      name: of it.
      scores: (seeds,) on the test set in %: accuracy, or the share of variance explained.
      rate: the learning rate chosen for it.
      parameters: how many it has.
      operations: floating-point operations of one prediction.
      notes: on the choice of the rate.
    """

    name: str
    scores: Floats
    rate: float
    parameters: int
    operations: int
    notes: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(self.scores.mean())

    @property
    def interval(self) -> Interval | None:
        """Student's at 95 %; None of a single seed."""
        return t_interval(self.scores) if len(self.scores) > 1 else None


Scores = Mapping[str, Scored]


@dataclass(frozen=True)
class Brief:
    """One project, from its data to a recommendation.

    Attributes:
      key: "churn", "chest" or "roads"; letter: A, B or C.
      sentence: the structure of the data.
      unit: of scores.
      sweeps: of the candidates, simplest first.
      judge: claims of it.
      changes: what would change the recommendation.
      excluded: candidates that are controls, not to be recommended.
    """

    key: str
    letter: str
    sentence: str
    unit: str
    sweeps: Mapping[str, SweepConfig]
    judge: Callable[[Judge, Scores], list[Judged]]
    changes: str
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """A brief with its scores, and what to use.

    Attributes:
      brief, scores: as they are; candidates in the order of simplicity.
      choice: the recommended candidate.
      best: the one with the best mean.
      loss: what the choice loses on the best, paired by seed; None of a single seed.
    """

    brief: Brief
    scores: Scores
    choice: Scored
    best: Scored
    loss: Interval | None

    def lines(self) -> list[str]:
        """The recommendation in words."""
        brief, choice = self.brief, self.choice
        how = f"{choice.mean:.1f} {brief.unit}"
        if choice is not self.best and self.loss is not None:
            how += (
                f", at most {max(self.loss.high, 0):.1f} points below {self.best.name} "
                f"({self.best.mean:.1f})"
            )
        return [
            f"brief {brief.letter}, {brief.key}: {brief.sentence}",
            f"  use: {choice.name} ({how}; {choice.operations:,} operations a prediction)",
            f"  what would change it: {brief.changes}",
        ]


def answer(brief: Brief, scores: Scores) -> Answer:
    """The simplest candidate that is shown to lose at most MARGIN points on the best.

    Shown: the upper 95 % limit of what it loses, paired by seed, is no higher. So of few seeds the
    best itself is recommended, and a simpler one only on evidence.
    """
    serious = [each for name, each in scores.items() if name not in brief.excluded]
    best = max(serious, key=lambda each: each.mean)
    for each in serious:
        if each is best:
            return Answer(brief, scores, best, best, None)
        if len(best.scores) > 1:
            loss = paired_interval(best.scores, each.scores)
            if loss.high <= MARGIN:
                return Answer(brief, scores, each, best, loss)
    raise AssertionError("the best is one of them")


def scored(trained: Mapping[str, Trained]) -> dict[str, Scored]:
    """What was measured of finished candidates; a run that failed counts as knowing nothing."""
    return {name: _scored(name, each) for name, each in trained.items()}


def _scored(name: str, trained: Trained) -> Scored:
    plan = trained.prepared.plan
    task, test = plan.recipe.task, plan.dataset.test
    if plan.dataset.task == "regression":
        points = 100 * (1 - trained.scores("test_loss") / float(test.labels.var()))
        nothing = 0.0
    else:
        points = 100 * trained.scores("test_accuracy")
        nothing = 100 / plan.dataset.num_classes
    failed = int(np.isnan(points).sum())
    notes = trained.notes
    if failed:
        notes += (f"{name}: {failed} of {len(points)} runs failed and count as {nothing:g} %",)
    return Scored(
        name,
        np.where(np.isnan(points), nothing, points),
        trained.rate,
        task.model.count_parameters(),
        operations(task),
        notes,
    )


def operations(task: Task) -> int:
    """Floating-point operations of one prediction, counted in the program."""
    model = task.model
    kind = np.int32 if task.kind == "tokens" else np.dtype(model.dtype)
    inputs = jax.ShapeDtypeStruct((1, *model.settings.input_shape), kind)
    params, state = jax.eval_shape(model.init, jax.random.key(0))
    return costs.count(lambda p, s, x: model.apply(p, s, x)[0], params, state, inputs).flops


def difference(scores: Scores, first: str, second: str) -> Floats:
    """Points that the first has more, seed by seed."""
    found: Floats = scores[first].scores - scores[second].scores
    return found


def best_of(scores: Scores, names: Sequence[str]) -> str:
    """The name with the best mean."""
    return max(names, key=lambda name: scores[name].mean)


def renamed(trained: Mapping[str, Trained], prefix: str) -> dict[str, Trained]:
    """Without the prefix that kept names of several briefs apart."""
    return {
        name.removeprefix(prefix): replace(each)
        for name, each in trained.items()
        if name.startswith(prefix)
    }
