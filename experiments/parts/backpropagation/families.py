"""Every family of models on a dataset that it reads, and as a language model where it is one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from minima.tasks.datasets import Dataset, load
from minima.tasks.model_choice import ModelChoice
from minima.tasks.models import Model, architecture
from minima.tasks.task import Task, make_task

_EXAMPLES = {"signal": "mnist1d", "image": "fashion_mnist"}  # to classify
_TOKENS = 16  # in a sequence of a language model


@dataclass(frozen=True, eq=False)
class Family:
    """A model and what it reads.

    Attributes:
      name: of the architecture, with what it is used for where that is not classification.
      task: the model, in float32.
      dataset: as its model reads it.
    """

    name: str
    task: Task
    dataset: Dataset

    def model(self, dtype: str) -> Model:
        """The model with all arithmetic in a dtype."""
        settings = replace(self.task.model.settings, parameter_dtype=dtype)
        return replace(self.task.model, settings=settings)

    def batch(self, count: int, dtype: str) -> tuple[Any, Any]:
        """The first training examples, as the model reads them, and their labels."""
        split, whole = self.dataset.train, self.task.kind == "tokens"
        inputs = jnp.asarray(split.inputs[:count], "int32" if whole else dtype)
        scaled = inputs if whole else (inputs - self.dataset.mean) / self.dataset.std
        return scaled, jnp.asarray(split.labels[:count])

    def start(self, dtype: str, seed: int = 0) -> tuple[Any, Any]:
        """Initial parameters and state."""
        return self.model(dtype).init(jax.random.key(seed))


def families(names: Sequence[str]) -> list[Family]:
    """One for each name, and one more for each language model among them."""
    found = []
    for name in names:
        kinds = architecture(name).kinds
        reads = next((_EXAMPLES[kind] for kind in _EXAMPLES if kind in kinds), None)
        if reads is not None:
            found.append(family(name, name, reads))
        if "tokens" in kinds:
            found.append(family(f"{name}, language", name, "markov"))
    return found


def family(label: str, name: str, dataset: str, **choice: Any) -> Family:
    """A model on a dataset; `choice` as in `ModelChoice`."""
    task, read = make_task(_loaded(dataset), ModelChoice(name, **choice))
    return Family(label, task, read)


@cache
def _loaded(name: str) -> Dataset:
    return load(name, window=_TOKENS) if name == "markov" else load(name)
