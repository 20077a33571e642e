"""The losses that laws are fitted to, read back from the runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import numpy as np

from minima.record import results
from minima.tasks.datasets.dataset import Dataset
from minima.tasks.datasets.markov import Settings, transition_matrix
from parts.scaling_laws.config import DATA, MARKOV, PARAMETERS, Key, ScalingLawsConfig

if TYPE_CHECKING:
    from minima.sweep.run import Prepared


@dataclass(frozen=True)
class Course:
    """Losses of one model on one text along parameters or data.

    Attributes:
      text, model, axis: which.
      x: parameters beside embeddings, or characters, ascending.
      losses: lowest validation loss on the way, nats a character, (points, seeds).
      entropy: the source's own loss on the same windows, where it is known.
    """

    text: str
    model: str
    axis: str
    x: np.ndarray
    losses: np.ndarray
    entropy: float | None


def courses(config: ScalingLawsConfig, prepared: "Mapping[Key, Prepared]") -> list[Course]:
    """Two for every model on every text."""
    scaling, made = config.scaling, []
    for text in config.texts:
        for model in scaling.models:
            by_width = [Key(text, model, width, 0) for width in scaling.widths]
            widest = scaling.widths[-1]
            by_data = [Key(text, model, widest, windows) for windows in (*scaling.windows, 0)]
            for axis, keys, of in (
                (PARAMETERS, by_width, _parameters),
                (DATA, by_data, _characters),
            ):
                x = np.array([of(prepared[key]) for key in keys], float)
                losses = np.stack([_lowest(prepared[key]) for key in keys])
                entropy = _known_floor(prepared[keys[0]].plan.dataset)
                made.append(Course(text, model, axis, x, losses, entropy))
    return made


def _known_floor(dataset: Dataset) -> float | None:
    """What the source itself loses on the validation windows, nats a symbol.

    Its entropy is that only in the mean: on a sample of windows it strays by more than what is left
    to a good network.
    """
    if dataset.name != MARKOV:
        return None
    windows = dataset.validation
    chances = transition_matrix(Settings())[windows.inputs, windows.labels]
    return float(-np.mean(np.log(chances)))


def _lowest(prepared: "Prepared") -> np.ndarray:
    """Of every seed, as early stopping has it; NaN for what diverged."""
    curves = results.load(prepared.directory).curves("validation_loss")
    rows = curves.reshape(-1, curves.shape[-1])
    return np.array([np.nanmin(row) if np.isfinite(row).any() else np.nan for row in rows])


def _parameters(prepared: "Prepared") -> int:
    """Beside tables of tokens and places, which grow with the vocabulary (Kaplan et al. 2020)."""
    model = prepared.plan.recipe.task.model
    params = jax.eval_shape(model.init, jax.random.key(0))[0]
    kept = {name: part for name, part in params.items() if name not in ("encoder", "positions")}
    return sum(leaf.size for leaf in jax.tree.leaves(kept))


def _characters(prepared: "Prepared") -> int:
    return prepared.plan.dataset.train.inputs.size
