"""What a model is built from."""

from dataclasses import dataclass

import jax.numpy as jnp

Edges = tuple[tuple[int, int], ...]  # pairs of nodes, undirected, none twice


@dataclass(frozen=True)
class Settings:
    """The shape of the task and the flags that shape a model. Hashable.

    Attributes:
      input_shape: of one example: (height, width[, channels]), (time[, channels]), (features,),
        (tokens,) or (nodes, features).
      kind: "image", "signal", "vector", "tokens" or "graph".
      num_classes: number of logits.
      vocabulary: number of different tokens; 0 for other kinds.
      per_position: logits at every position, not one per example.
      width, depth: of the hidden layers.
      norm: one of `norms.NORMS`.
      positions: whether a transformer knows where its inputs stand.
      parameter_dtype: "float32" or "float64", of parameters and, if nothing else is said, of
        computation.
      base_width: where the maximal update parametrisation (see `mup`) equals the standard one; 0
        for the standard one at every width.
      activation: a key of `layers.ACTIVATIONS`, or "" for the model's own.
      compute_dtype: "bfloat16" (see `precision`), or "" for that of the parameters.
      remat: blocks are computed a second time on the way back instead of being kept (see `remat`).
      attention_chunk: positions that attention looks at together (see `attention`); 0: all.
      edges: of the graph, where the examples are features of its nodes.
    """

    input_shape: tuple[int, ...]
    kind: str
    num_classes: int
    vocabulary: int
    per_position: bool
    width: int
    depth: int
    norm: str
    positions: bool
    parameter_dtype: str
    base_width: int = 0
    activation: str = ""
    compute_dtype: str = ""
    remat: bool = False
    attention_chunk: int = 0
    edges: Edges = ()

    @property
    def dtype(self) -> jnp.dtype:
        """The dtype as JAX has it."""
        return jnp.dtype(self.parameter_dtype)

    @property
    def channels(self) -> int:
        """Channels of an image or a signal, features of a node."""
        axes = 2 if self.kind == "image" else 1  # before that of the channels
        return self.input_shape[axes] if len(self.input_shape) > axes else 1

    @property
    def causal(self) -> bool:
        """Whether a position may not see those that follow: nodes follow in no order."""
        return self.per_position and self.kind != "graph"
