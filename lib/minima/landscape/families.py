"""The rescalings that each of minima's networks allows.

ReLU layers: a neuron's incoming weights and bias against its outgoing ones, channels of
convolutions likewise (max-pooling and flattening keep the factor). Behind a normalisation its scale
and offset are paired with the layer that reads it. Before one, the scale of weights is forgotten,
up to ε: of each feature by batch normalisation, of each group by group normalisation, of the layer
by layer normalisation, and of all that is written into a transformer's residual stream. Running
statistics don't move with the weights: evaluated with those, a network whose weights before batch
normalisation are rescaled is another function. Attention: queries against keys, values against the
layer that mixes heads. Recurrent cells have saturating gates and allow nothing inside; their
embedding is paired with the first layer. GELU is no power of its argument, so a transformer's
feed-forward layers allow nothing either, and tanh saturates.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from minima.landscape.gauges import Part, Path, Rescaling
from minima.landscape.objective import Params
from minima.tasks.models.norms import groups_of

_QUERY, _KEY, _VALUE = range(3)


def rescalings(
    params: Params, norm: str = "none", activation: str = "relu", residual: bool = False
) -> tuple[Rescaling, ...]:
    """Those of a network whose parameters are named as `Model.init` names them; () if none.

    Residual networks (resnet, mlp_residual) have sums in the way and are given none.

    Args:
      params: nested dicts of arrays.
      norm, activation: the model's `--norm` and `--activation`, which the parameters don't tell.
      residual: whether hidden layers add to their input, which they don't tell either.
    """
    if "blocks" in params:
        return _transformer(params) if "encoder" in params else ()
    if "layers" in params:
        return _recurrent(params)
    return () if residual else tuple(_chain(params, norm, activation))


def _chain(params: Params, norm: str, activation: str) -> list[Rescaling]:
    """Layers one after another, each with a norm, if any, and an activation behind it.

    Only through a ReLU does a factor reach the layer that follows.
    """
    stack: list[tuple[Path, Path | None]] = []
    for name in ("convolutions", "hidden"):
        stack += [((name, i), ("norms", i)) for i in sorted(params.get(name, {}))]
    if "dense" in params:
        stack.append((("dense",), ("dense_norm",)))
    stack.append((("readout",), None))
    found = []
    for (layer, behind), (following, _) in pairwise(stack):
        normed = behind is not None and _has(params, behind)
        if activation == "relu":
            scaled, parts = (behind, _affine) if behind and normed else (layer, _columns)
            found.append(_pair(params, scaled, parts(params, scaled), following))
        if normed:
            found.append(_forgotten(params, layer, norm))
    return found


def _forgotten(params: Params, layer: Path, norm: str) -> Rescaling:
    """A layer before its norm: one factor for all features that are normalised together."""
    columns = _columns(params, layer)
    features = len(columns[-1].factor)
    together = 1
    if norm not in ("batch", "ghost"):
        together = features // (groups_of(features) if norm == "group" else 1)
    parts = tuple(part._replace(factor=part.factor // together) for part in columns)
    return Rescaling(f"{_name(layer)} before its norm", features // together, parts, exact=False)


def _transformer(params: Params) -> tuple[Rescaling, ...]:
    found = []
    for i in sorted(params["blocks"]):
        block = ("blocks", i)
        width = params["blocks"][i]["attended"]["kernel"].shape[0]
        queries, keys, values = (_third(block, width, kind) for kind in (_QUERY, _KEY, _VALUE))
        keys = tuple(part._replace(power=-1) for part in keys)
        mixed = Part((*block, "attended", "kernel"), np.arange(width)[:, None], -1)
        found.append(Rescaling(f"{_name(block)} queries and keys", width, (*queries, *keys)))
        found.append(Rescaling(f"{_name(block)} values", width, (*values, mixed)))
        for number, following in ((0, "qkv"), (1, "wide")):
            behind = (*block, "norms", number)
            if _has(params, behind):
                affine = _affine(params, behind)
                found.append(_pair(params, behind, affine, (*block, following)))
    if _has(params, ("norm",)):
        found.append(_pair(params, ("norm",), _affine(params, ("norm",)), ("readout",)))
        found.append(_stream(params))
    return tuple(found)


def _stream(params: Params) -> Rescaling:
    """All that is added up before a transformer's norms: they forget its scale."""
    writers: list[Path] = [("encoder",), ("encoder", "projection")]
    for i in sorted(params["blocks"]):
        writers += [("blocks", i, "attended"), ("blocks", i, "narrow")]
    names = ("table", "kernel", "bias")
    paths = [(*path, name) for path in writers for name in names if _has(params, (*path, name))]
    paths += [("positions",)] if _has(params, ("positions",)) else []
    one = np.zeros(1, int)
    return Rescaling("stream before its norms", 1, tuple(Part(p, one, 1) for p in paths), False)


def _recurrent(params: Params) -> tuple[Rescaling, ...]:
    if not _has(params, ("encoder", "table")):
        return ()
    features = params["encoder"]["table"].shape[1]
    table = Part(("encoder", "table"), np.arange(features), 1)
    first = params["layers"][0]
    down = [
        Part(("layers", 0, side, "inputs", "kernel"), np.arange(features)[:, None], -1)
        for side in sorted(first)
    ]
    return (Rescaling("embedding", features, (table, *down)),)


def _pair(params: Params, name: Path, up: tuple[Part, ...], following: Path) -> Rescaling:
    """Features that are multiplied, and divided again where the following layer reads them.

    Its rows list the features last: (offsets or positions…, feature).
    """
    size, path = len(up[-1].factor), (*following, "kernel")
    rows = _at(params, path).shape[0]
    return Rescaling(_name(name), size, (*up, Part(path, np.arange(rows)[:, None] % size, -1)))


def _columns(params: Params, layer: Path) -> tuple[Part, ...]:
    """A layer's kernel and bias, by the feature they make."""
    features = np.arange(_at(params, layer)["kernel"].shape[1])
    names = [name for name in ("kernel", "bias") if name in _at(params, layer)]
    return tuple(Part((*layer, name), features, 1) for name in names)


def _affine(params: Params, norm: Path) -> tuple[Part, ...]:
    features = np.arange(len(_at(params, norm)["scale"]))
    return tuple(Part((*norm, name), features, 1) for name in ("scale", "offset"))


def _third(block: Path, width: int, kind: int) -> tuple[Part, ...]:
    """The queries', keys' or values' columns of the joint layer."""
    factor = np.full(3 * width, -1)
    factor[kind * width : (kind + 1) * width] = np.arange(width)
    return tuple(Part((*block, "qkv", name), factor, 1) for name in ("kernel", "bias"))


def _has(params: Params, path: Path) -> bool:
    for key in path:
        if not isinstance(params, Mapping) or key not in params:
            return False
        params = params[key]
    return True


def _at(params: Params, path: Path) -> Any:
    for key in path:
        params = params[key]
    return params


def _name(path: Path) -> str:
    return " ".join(map(str, path))
