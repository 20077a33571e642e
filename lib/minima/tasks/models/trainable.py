"""Which parameters training moves: all, or a part of them while the rest stays as it began.

What is frozen is a constant in training: no gradient reaches it (nor is one computed beyond the
deepest trainable layer), so a clipped norm, a sharpness-aware climb and momentum know only the
rest; no decay shrinks it; its batch norms use their running statistics, as in evaluation, and keep
them.
"""

import difflib
import fnmatch
import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from minima.runtime.errors import UserError
from minima.tasks.models.norms import BatchNorm

if TYPE_CHECKING:
    from minima.tasks.models.model import Model, Params

ALL, HEAD, LAST_BLOCK, NONE = "all", "head", "last_block", "none"
_READOUT = "readout"
# What comes right before the read-out: the first row whose first name a model has; of a list of
# layers the last one.
_LAST_BLOCKS = (
    ("dense", "dense_norm"),  # CNNs on images
    ("blocks", "norm"),  # residual networks, transformers
    ("layers",),  # recurrent networks
    ("hidden", "norms"),  # perceptrons
    ("convolutions", "norms"),  # CNNs on signals
)


def path_of(path: Sequence[Any]) -> str:
    """A parameter's name, such as "hidden/0/kernel", from its path in a tree."""
    return jax.tree_util.keystr(tuple(path), simple=True, separator="/")


def paths(tree: Any) -> tuple[str, ...]:
    """The names of a tree's leaves, in its order."""
    return tuple(path_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree))


def is_head(path: str) -> bool:
    """Whether a parameter belongs to the read-out."""
    return path.split("/")[0] == _READOUT


def select(names: Iterable[str], asked: str, flag: str, model: str) -> frozenset[str]:
    """The parameters that a flag means.

    Args:
      names: of all parameters there are.
      asked: "all", "none", "head" (the read-out), "last_block" (and the head), or patterns of
        names with commas between, such as "hidden/1/*,readout/*".
      flag: for messages, such as "trainable".
      model: its `--model` name, for messages.

    Raises:
      UserError: a pattern matches nothing, or there is no block before the head.
    """
    names = tuple(names)
    if asked in (ALL, NONE):
        return frozenset(names if asked == ALL else ())
    head = {name for name in names if is_head(name)}
    if asked == HEAD and head:
        return frozenset(head)
    if asked == LAST_BLOCK:
        if block := _last_block(names):
            return frozenset(head | block)
        raise UserError(f"--{flag}=last_block: --model={model} has none before its head; use head")
    found: set[str] = set()
    for pattern in asked.split(","):
        matched = fnmatch.filter(names, pattern.strip())
        if not matched:
            near = difflib.get_close_matches(pattern, names, n=1, cutoff=0)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UserError(
                f"--{flag}={asked}: {pattern.strip()!r} matches no parameter of --model={model}; "
                f"{hint}There are {', '.join(names)}"
            )
        found.update(matched)
    return frozenset(found)


def _last_block(names: Sequence[str]) -> set[str]:
    split = {name: name.split("/") for name in names}
    tops = {words[0] for words in split.values()}
    row = next((row for row in _LAST_BLOCKS if row[0] in tops), ())
    found: set[str] = set()
    for top in row:
        mine = {name: words for name, words in split.items() if words[0] == top}
        numbers = [int(words[1]) for words in mine.values() if words[1].isdigit()]
        last = str(max(numbers)) if numbers else None
        found |= {name for name, words in mine.items() if last is None or words[1] == last}
    return found


@functools.cache
def mask(model: "Model") -> "Params":
    """A tree like the parameters': whether training moves each; Python bools.

    Raises:
      UserError: the model's `trainable` matches nothing.
    """
    shapes = jax.eval_shape(model.init, jax.random.key(0))[0]
    chosen = select(paths(shapes), model.trainable, "trainable", model.name)
    return jax.tree_util.tree_map_with_path(lambda path, _: path_of(path) in chosen, shapes)


def count(model: "Model") -> int:
    """Scalars that training moves."""
    shapes = jax.eval_shape(model.init, jax.random.key(0))[0]
    sizes = jax.tree.map(lambda leaf, on: leaf.size * on, shapes, mask(model))
    return sum(jax.tree.leaves(sizes))


def held(model: "Model", params: "Params") -> "Params":
    """The parameters as training sees them: frozen ones are constants."""
    if model.trainable == ALL:
        return params
    stop = jax.lax.stop_gradient
    return jax.tree.map(lambda p, on: p if on else stop(p), params, mask(model))


def hold_statistics(model: "Model", module: nnx.Module) -> None:
    """Has batch norms without a trainable parameter stay with the statistics that they have."""
    if model.trainable == ALL:
        return
    chosen = mask(model)
    for path, norm in nnx.iter_modules(module):
        if isinstance(norm, BatchNorm):
            own = functools.reduce(lambda tree, name: tree[name], path, chosen)
            norm.held = not any(jax.tree.leaves(own))


def restrained(
    model: "Model", optimizer: optax.GradientTransformation
) -> optax.GradientTransformation:
    """The optimiser for what is trainable; its state for the rest never leaves zero."""
    if model.trainable == ALL:
        return optimizer
    chosen = mask(model)

    def keep(tree: "Params") -> "Params":
        return jax.tree.map(lambda x, on: x if on else jnp.zeros_like(x), tree, chosen)

    def update(gradient: "Params", state: Any, params: "Params") -> tuple["Params", Any]:
        """Frozen weights look like zeros, which no decay moves."""
        change, state = optimizer.update(keep(gradient), state, keep(params))
        return keep(change), state

    return optax.GradientTransformation(optimizer.init, update)


def joined(model: "Model", moved: "Params", kept: "Params") -> "Params":
    """`moved` where training moves, `kept` where it doesn't: an average of equals is rounded."""
    if model.trainable == ALL:
        return moved
    return jax.tree.map(lambda a, b, on: a if on else b, moved, kept, mask(model))
