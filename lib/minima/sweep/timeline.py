"""A cell's course, known before it starts: phases of one batch size each, and where it evaluates.

Plain whole numbers on the host. The device gets them as arrays, so one program serves cells whose
batch grows and cells whose rate drops; the host uses them to foresee where every lane stands.
"""

import bisect
import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from minima.sweep.budgets import Budget

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Phase:
    """A stretch of updates with one batch size; `rate` multiplies the learning rate."""

    start: int
    batch_size: int
    rate: float = 1.0


@dataclass(frozen=True)
class Timeline:
    """What a cell does at which update.

    Attributes:
      phases: in order; the first starts at update 0, several may start at the same one (the last
        of them counts).
      steps: updates after which the budget is used up.
      evaluations: updates after which the cell evaluates, rising; the last is `steps`.
      decay_start, decay_end: updates between which the learning rate falls to zero.
    """

    phases: tuple[Phase, ...]
    steps: int
    evaluations: tuple[int, ...]
    decay_start: int
    decay_end: int

    def examples(self, step: int) -> int:
        """Examples seen after `step` updates."""
        return self.total(step, [phase.batch_size for phase in self.phases])

    def micro_steps(self, step: int, widths: Sequence[int]) -> int:
        """Micro-steps of these widths, rising, taken after `step` updates."""
        return self.total(step, [pieces(phase.batch_size, widths) for phase in self.phases])

    def examples_after(self, micro_steps: int, widths: Sequence[int]) -> int:
        """Examples seen after so many micro-steps; the last one of a batch may be short."""
        ends = [*(phase.start for phase in self.phases[1:]), self.steps]
        for phase, end in zip(self.phases, ends, strict=True):
            per_update = pieces(phase.batch_size, widths)
            updates, into = divmod(micro_steps, per_update)
            if phase.start + updates < end or end == self.steps:
                part = _consumed(phase.batch_size, into, widths)
                return self.examples(phase.start + updates) + part
            micro_steps -= (end - phase.start) * per_update
        raise AssertionError("the last phase ends with the timeline")

    def step_at(self, examples: float) -> int:
        """The first update after which that many examples have been seen."""
        return _step_at(self.phases, examples)

    def beginning(self, steps: int) -> "Timeline":
        """The first `steps` updates of the same course, with an evaluation after each."""
        steps = min(steps, self.steps)
        return replace(self, steps=steps, evaluations=tuple(range(1, steps + 1)))

    def evaluation_after(self, step: int) -> int:
        """The first update after `step` that ends in an evaluation."""
        return self.evaluations[bisect.bisect_right(self.evaluations, step)]

    def kept(self, count: int) -> tuple[int, ...]:
        """The updates after which `count` snapshots are taken, evenly spaced, the last at the end.

        Fewer where there are fewer evaluations.
        """
        at = self.evaluations
        return tuple(sorted({at[math.ceil(k * len(at) / count) - 1] for k in range(1, count + 1)}))

    def total(self, step: int, per_update: Sequence[Number]) -> Number:
        """The sum over the first `step` updates of what one costs in each phase."""
        ends = [*(phase.start for phase in self.phases[1:]), step]
        lengths = (
            max(0, min(end, step) - phase.start)
            for phase, end in zip(self.phases, ends, strict=True)
        )
        return sum(n * each for n, each in zip(lengths, per_update, strict=True))


def pieces(batch_size: int, widths: Sequence[int]) -> int:
    """Micro-steps of a batch: each the widest that its rest fills, the last one may be short."""
    count = 0
    for width in reversed(widths):
        whole, batch_size = divmod(batch_size, width)
        count += whole
    return count + (batch_size > 0)


def _consumed(batch_size: int, count: int, widths: Sequence[int]) -> int:
    """Examples of a batch in its first `count` pieces."""
    seen = 0
    for width in reversed(widths):
        whole = min(count, (batch_size - seen) // width)
        seen, count = seen + whole * width, count - whole
    return batch_size if count else seen


@functools.lru_cache
def make_timeline(
    budget: Budget,
    batch_size: int,
    num_examples: int,
    evaluations: int,
    milestones: tuple[float, ...] = (),
    batch_factor: int = 1,
    rate_factor: float = 1.0,
    decay_fraction: float = 0.0,
) -> Timeline:
    """The course of a cell.

    Args:
      budget: its bounds in epochs, examples and steps.
      batch_size: at the start.
      num_examples: size of the training set, N.
      evaluations: how many, evenly spaced in examples, the last at the end; fewer where there are
        fewer updates.
      milestones: epochs, rising; the first update that starts there or later has `batch_factor`
        times the batch size and `rate_factor` times the rate, and so on at each (Smith et al. 2018,
        arXiv:1711.00489).
      decay_fraction: share of the updates, at the end, over which the rate decays.
    """
    phases = [Phase(0, batch_size)]
    for milestone in milestones:
        start = _step_at(phases, round(milestone * num_examples, 6))
        last = phases[-1]
        phases.append(Phase(start, last.batch_size * batch_factor, last.rate * rate_factor))
    bounds = [] if budget.steps is None else [budget.steps]
    if (most := budget.most_examples(num_examples)) is not None:
        bounds.append(_step_at(phases, most))
    steps = max(1, min(bounds))
    decay_start = steps - round(decay_fraction * steps)
    course = Timeline(tuple(phases), steps, (steps,), decay_start, steps)
    total = course.examples(steps)
    shares = range(1, evaluations + 1)
    marks = {course.step_at(math.ceil(k * total / evaluations)) for k in shares}
    return replace(course, evaluations=tuple(sorted(marks)))


def _step_at(phases: Sequence[Phase], examples: float) -> int:
    """The first update after which at least so many examples have been seen."""
    seen = 0
    for phase, following in itertools.pairwise(phases):
        length = following.start - phase.start
        if seen + length * phase.batch_size >= examples:
            return phase.start + math.ceil((examples - seen) / phase.batch_size)
        seen += length * phase.batch_size
    return phases[-1].start + math.ceil((examples - seen) / phases[-1].batch_size)
