"""The host's view of the lanes: which cell is where, and when it will be done.

A cell's micro-steps follow from its timeline, so the host knows, without asking the device, in
which segment a lane uses up its budget, and puts the next cell into the very next one. Only lanes
that stop early (diverged, target, patience) are noticed a segment later, when their report has been
read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from minima.sweep.timeline import Timeline, pieces


@dataclass
class Slot:
    """One lane's cell and its place in its timeline; the only mutable thing about it on the host.

    Attributes:
      cell: index of the cell in the plan.
      timeline: the cell's course.
      widths: examples per micro-step, rising; each is the widest that the rest of its batch fills.
      begin: examples of its stream that were seen before, by a trunk.
      step: updates done at the last evaluation point passed.
      micro_left: micro-steps to the next evaluation point.
      fresh: not dispatched yet.
      finished: has used up its budget, or was found finished in a report.
    """

    cell: int
    timeline: Timeline
    widths: tuple[int, ...]
    begin: int = 0
    step: int = 0
    micro_left: int = 0
    fresh: bool = True
    finished: bool = False

    def __post_init__(self) -> None:
        """Sets the distance to the first evaluation."""
        if not self.micro_left:
            self.micro_left = self._distance()

    @classmethod
    def resumed(
        cls,
        cell: int,
        timeline: Timeline,
        widths: tuple[int, ...],
        begin: int = 0,
        *,
        step: int,
        consumed: int,
    ) -> "Slot":
        """A slot for a lane restored after `step` updates and `consumed` examples of the next."""
        passed = max(at for at in (0, *timeline.evaluations) if at <= step)
        slot = cls(cell, timeline, widths, begin, step=passed, micro_left=1, fresh=False)
        if step >= timeline.steps:
            slot.micro_left, slot.finished = 0, True
            return slot
        left = timeline.examples(step + 1) - timeline.examples(step) - consumed
        slot.micro_left = slot._distance(step + 1) + pieces(left, widths)
        return slot

    def advance(self, limit: int) -> int:
        """Moves as the device does in a segment of at most `limit` micro-steps; returns how far."""
        moved = min(limit, self.micro_left)
        self.micro_left -= moved
        self.fresh = False
        if self.micro_left == 0:
            self.step = self.timeline.evaluation_after(self.step)
            if self.step == self.timeline.steps:
                self.finished = True
            else:
                self.micro_left = self._distance()
        return moved

    def place(self) -> int:
        """Examples of the stream before the next one."""
        there = self.timeline.evaluation_after(self.step)
        walked = self.timeline.micro_steps(there, self.widths) - self.micro_left
        return self.begin + self.timeline.examples_after(walked, self.widths)

    def _distance(self, step: int | None = None) -> int:
        """Micro-steps from an update, the last evaluation unless given, to the next evaluation."""
        here, there = self.step if step is None else step, self.timeline.evaluation_after(self.step)
        micro_steps = self.timeline.micro_steps
        return micro_steps(there, self.widths) - micro_steps(here, self.widths)


def free_lanes(busy: Sequence[bool], devices: int) -> list[int]:
    """The lanes without work in the order in which to fill them: the idlest device's first.

    A device walks its lanes one after the other, so what counts is how many each has to walk.

    Args:
      busy: for each lane, whether it has work; lanes of a device lie together.
      devices: how many there are.
    """
    each, ranked = len(busy) // devices, []
    for begin in range(0, len(busy), each):
        idle = [lane for lane in range(begin, begin + each) if not busy[lane]]
        ranked += [(each - len(idle) + rank, lane) for rank, lane in enumerate(idle)]
    return [lane for _, lane in sorted(ranked)]
