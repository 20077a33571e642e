"""The host's view of the lanes: which cell is where, and when it will be done.

A cell's micro-steps follow from its batch size and budget, so the host knows, without asking the
device, in which segment a lane uses up its budget, and puts the next cell into the very next one.
Only lanes that stop early (diverged, target, patience) are noticed a segment later, when their
report has been read.
"""

from dataclasses import dataclass


@dataclass
class Slot:
    """One lane's cell and its place in its budget; the only mutable thing about a lane on the host.

    Attributes:
      cell: index of the cell in the plan.
      max_steps, eval_every: updates.
      steps_per_update: micro-steps per update, ceil(batch_size / microbatch).
      step: updates done at the last evaluation point passed.
      micro_left: micro-steps to the next evaluation point.
      fresh: not dispatched yet.
      finished: has used up its budget, or was found finished in a report.
    """

    cell: int
    max_steps: int
    eval_every: int
    steps_per_update: int
    step: int = 0
    micro_left: int = 0
    fresh: bool = True
    finished: bool = False

    def __post_init__(self) -> None:
        """Sets the distance to the first evaluation."""
        if not self.micro_left:
            self._aim()

    @classmethod
    def resumed(
        cls,
        cell: int,
        step: int,
        consumed_micro: int,
        *,
        max_steps: int,
        eval_every: int,
        steps_per_update: int,
    ) -> "Slot":
        """A slot for a lane restored after `step` updates and some micro-steps into the next."""
        passed = step // eval_every * eval_every
        slot = cls(cell, max_steps, eval_every, steps_per_update, step=passed, fresh=False)
        slot.micro_left -= (step - slot.step) * slot.steps_per_update + consumed_micro
        if step >= slot.max_steps:
            slot.step, slot.finished = slot.max_steps, True
        return slot

    def advance(self, limit: int) -> int:
        """Moves as the device does in a segment of at most `limit` micro-steps; returns how far."""
        moved = min(limit, self.micro_left)
        self.micro_left -= moved
        self.fresh = False
        if self.micro_left == 0:
            self.step = min(self.step + self.eval_every, self.max_steps)
            if self.step == self.max_steps:
                self.finished = True
            else:
                self._aim()
        return moved

    def _aim(self) -> None:
        updates = min(self.eval_every, self.max_steps - self.step)
        self.micro_left = updates * self.steps_per_update
