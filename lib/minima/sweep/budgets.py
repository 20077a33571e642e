"""When a cell stops: epochs, steps, examples, a target, early stopping; whichever is first."""

import re
from dataclasses import dataclass
from enum import IntEnum

METRICS = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
_UNITS = ("epochs", "steps", "examples")
_EXAMPLE = "20epochs, 5000steps, 1e6examples, validation_accuracy>=0.85, early_stopping=5"


class Status(IntEnum):
    """What became of a cell. The first two are states of a lane, the others are final."""

    EMPTY = 0
    RUNNING = 1
    COMPLETE = 2
    DIVERGED = 3
    COLLAPSED = 4
    REACHED_TARGET = 5
    STOPPED_EARLY = 6

    @property
    def label(self) -> str:
        """The name used in files and tables, such as "reached_target"."""
        return self.name.lower()


@dataclass(frozen=True)
class Target:
    """Stop once `metric` at an evaluation is at least (or at most) `value`."""

    metric: str
    at_least: bool
    value: float

    def __str__(self) -> str:
        return f"{self.metric}{'>=' if self.at_least else '<='}{self.value:g}"


@dataclass(frozen=True)
class Budget:
    """Any combination of bounds; a cell stops at whichever it meets first.

    Attributes:
      epochs, examples: the cell stops after the first update at which it has seen that many
        passes over the training set, or that many examples.
      steps: number of parameter updates.
      target: a metric to reach, looked at in every evaluation.
      early_stopping: stop after this many evaluations in a row without a lower validation loss.
        The cell's minimum is then its best validated parameters, whichever way it ended.
    """

    epochs: float | None = None
    steps: int | None = None
    examples: int | None = None
    target: Target | None = None
    early_stopping: int | None = None

    def __post_init__(self) -> None:
        if self.epochs is None and self.steps is None and self.examples is None:
            raise ValueError("needs a bound in epochs, steps or examples, such as 20epochs")

    def most_examples(self, num_examples: int) -> float | None:
        """Examples after which a cell stops, or None where only its updates are counted."""
        bounds: list[float] = [] if self.examples is None else [self.examples]
        if self.epochs is not None:
            # Rounded: 0.1 epochs of 4000 is 400 examples, not 400.00000000000006.
            bounds.append(round(self.epochs * num_examples, 6))
        return min(bounds, default=None)

    def __str__(self) -> str:
        parts = [] if self.epochs is None else [f"{self.epochs:g}epochs"]
        parts += [] if self.steps is None else [f"{self.steps}steps"]
        parts += [] if self.examples is None else [f"{self.examples}examples"]
        parts += [] if self.target is None else [str(self.target)]
        parts += [] if self.early_stopping is None else [f"early_stopping={self.early_stopping}"]
        return ",".join(parts)


def parse_budget(text: str) -> Budget:
    """Reads `20epochs`, `5000steps,validation_accuracy>=0.9`, `1e6examples,early_stopping=5`.

    Raises:
      ValueError: says which part can't be read, and what can.
    """
    fields: dict[str, object] = {}
    for part in text.replace(" ", "").split(","):
        name, value = _parse_part(part)
        if name in fields:
            raise ValueError(f"{name} is given twice")
        fields[name] = value
    return Budget(**fields)  # type: ignore[arg-type]


def _parse_part(part: str) -> tuple[str, object]:
    if match := re.fullmatch(r"([0-9.eE+]+)(epochs?|steps?|examples?)", part):
        unit = match[2] if match[2].endswith("s") else match[2] + "s"
        return unit, _amount(part, match[1], unit)
    if match := re.fullmatch(r"early_stopping=(\d+)", part):
        if int(match[1]) < 1:
            raise ValueError("early_stopping must be at least 1 evaluation")
        return "early_stopping", int(match[1])
    if match := re.fullmatch(r"(\w+)(>=|<=)([-+0-9.eE]+)", part):
        if match[1] not in METRICS:
            raise ValueError(f"{match[1]!r} is no metric; use one of {', '.join(METRICS)}")
        return "target", Target(match[1], match[2] == ">=", _number(part, match[3]))
    raise ValueError(f"can't read {part!r}; use parts such as {_EXAMPLE}, joined by commas")


def _number(part: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} in {part!r} is not a number") from None


def _amount(part: str, text: str, unit: str) -> float | int:
    amount = _number(part, text)
    if not 0 < amount < float("inf"):
        raise ValueError(f"{part!r} must be positive and finite")
    if unit == "epochs":
        return amount
    if amount != int(amount):
        raise ValueError(f"{part!r} must be a whole number of {unit}")
    return int(amount)
