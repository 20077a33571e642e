"""Every measure raw, canonical and, where there is one, invariant; what an attacker makes of it.

A measure of a minimum is worth comparing if no rescaling that leaves the function alone can turn
the comparison around. Raw measures are taken where training ended, canonical ones at the one
representative that `gauges.canonical` picks; invariant ones don't depend on which it is.

What moves with every weight is invariant under each exact rescaling that minima's families have,
biases, norms and attention included: they all are f(D w) = f(w) for a diagonal D, and then the
gradient at D w is D⁻¹ g and the Hessian D⁻¹ H D⁻¹. So are the curvature relative to weights, the
sharpness within |δ / |w|| ≤ ρ, average or worst, the PAC-Bayes width in units of |w|, and wᵀ F w.
What is scaled by layers or neurons need not be:

| measure                                                | mlp | cnn, batch | lstm | transformer |
|--------------------------------------------------------|-----|------------|------|-------------|
| relative λmax, relative trace                          | yes | yes        | yes  | yes         |
| adaptive, average, relative box                        | yes | yes        | yes  | yes         |
| magnitude-aware PAC-Bayes                              | yes | yes        | yes  | yes         |
| Fisher-Rao norm                                        | yes | yes        | yes  | yes         |
| relative flatness, layers whose outputs are scaled     | yes | yes        | yes  | yes         |
| relative flatness, layers whose inputs are, one by one | no  | no         | no   | no          |
| λmax, trace, SAM, Gaussian, Keskar, PAC-Bayes, norm    | no  | no         | no   | no          |

Relative flatness sums ⟨w_s, w_t⟩ tr H_st over a layer's outputs: a factor of each output cancels,
a common factor of all inputs as well, a factor of each input does not (the layer behind a pair,
such as the read-out behind ReLUs). Scales that a normalisation forgets up to its ε move invariant
measures as little as they move the function.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from minima.landscape import estimators, gauges, norms, operators, sharpness
from minima.landscape.gauges import Attack, Rescaling
from minima.landscape.objective import Chunks, Objective, Params

Measure = Callable[[Objective, Params, Chunks, jax.Array], jax.Array]

_LANCZOS, _PROBES = 20, 10
_RHO, _EPSILON = 0.1, 1e-3
_DRIFT = 2e-3  # by so much may rounding move the ratio of two measures that are invariant


class Form(NamedTuple):
    """A measure at one minimum; scalars.

    Attributes:
      raw: at the parameters as they are.
      canonical: at the same function's canonical ones.
      invariant: its counterpart that rescaling does not change; NaN where there is none.
    """

    raw: jax.Array
    canonical: jax.Array
    invariant: jax.Array


@dataclass(frozen=True)
class Row:
    """Two minima's measures compared: ratios of the first's to the second's.

    Attributes:
      name: of the measure.
      raw: as they are.
      canonical: both in the canonical gauge.
      lowest, highest: among all rescalings tried.
      invariant: no rescaling moved the ratio.
      flipped: some rescaling turned the ordering around.
    """

    name: str
    raw: float
    canonical: float
    lowest: float
    highest: float
    invariant: bool
    flipped: bool


@dataclass(frozen=True)
class GaugeReport:
    """Which orderings of two minima are properties of their functions.

    Attributes:
      rows: by measure.
      rescalings: the kinds that were tried; () where none is known.
    """

    rows: tuple[Row, ...]
    rescalings: tuple[str, ...]

    def __getitem__(self, name: str) -> Row:
        """The row of a measure; raises KeyError where it is not among them."""
        return {row.name: row for row in self.rows}[name]

    def __str__(self) -> str:
        width = max([len("measure"), *(len(row.name) for row in self.rows)])
        heads = ("raw", "canonical", "lowest", "highest")
        lines = [f"{'measure':<{width}}" + "".join(f"{head:>11}" for head in heads)]
        for row in self.rows:
            ratios = (row.raw, row.canonical, row.lowest, row.highest)
            numbers = "".join(f"{ratio:>11.3g}" for ratio in ratios)
            lines.append(f"{row.name:<{width}}{numbers}  {self._fate(row)}")
        return "\n".join([*lines, f"rescalings: {', '.join(self.rescalings) or 'none known'}"])

    def _fate(self, row: Row) -> str:
        if not self.rescalings:
            return "no rescaling known"
        return "invariant" if row.invariant else "flipped" if row.flipped else "moved, not flipped"


def forms(
    objective: Objective,
    params: Params,
    data: Chunks,
    rescalings: Sequence[Rescaling],
    key: jax.Array,
    measures: Mapping[str, Measure] | None = None,
) -> dict[str, Form]:
    """All plain measures of one minimum in all their forms; traced.

    Args:
      objective, params, data: the minimum.
      rescalings: of its family, `families.rescalings`.
      key: of random probes.
      measures: `MEASURES` if None; those that `INVARIANT` names as counterparts get no entry.
    """
    measures = MEASURES if measures is None else measures
    canonical = gauges.canonical(params, rescalings)

    def at(name: str, params: Params) -> jax.Array:
        measure = measures.get(name, lambda *_: jnp.asarray(jnp.nan))
        return measure(objective, params, data, key)

    counterparts = set(INVARIANT.values())
    return {
        name: Form(at(name, params), at(name, canonical), at(INVARIANT.get(name, ""), params))
        for name in measures
        if name not in counterparts
    }


def compare(
    objective: Objective,
    first: Params,
    second: Params,
    data: Chunks,
    rescalings: Sequence[Rescaling],
    key: jax.Array,
    measures: Mapping[str, Measure] | None = None,
) -> Attack:
    """`gauges.attack` on all measures at once, arrays (m,); traced."""
    measures = MEASURES if measures is None else measures

    def all_of(params: Params) -> jax.Array:
        return jnp.stack([of(objective, params, data, key) for of in measures.values()])

    return gauges.attack(all_of, first, second, rescalings)


def gauge_report(
    objective: Objective,
    first: Params,
    second: Params,
    data: Chunks,
    rescalings: Sequence[Rescaling],
    *,
    seed: int = 0,
    measures: Mapping[str, Measure] | None = None,
) -> GaugeReport:
    """`compare` in one program, as rows that print as a table."""
    measures = MEASURES if measures is None else measures
    key = jax.random.key(seed)

    @jax.jit
    def run(first: Params, second: Params, data: Chunks) -> Attack:
        return compare(objective, first, second, data, rescalings, key, measures)

    with jax.default_matmul_precision("highest"):
        found = jax.device_get(run(first, second, data))
    rows = []
    for i, name in enumerate(measures):
        raw, canonical, lowest, highest = (float(ratios[i]) for ratios in found[:4])
        invariant = highest <= lowest * (1 + _DRIFT)
        flipped = bool(found.flipped[i]) and not invariant
        rows.append(Row(name, raw, canonical, lowest, highest, invariant, flipped))
    return GaugeReport(tuple(rows), tuple(r.name for r in rescalings))


def _hessian(objective: Objective, params: Params, data: Chunks) -> operators.Operator:
    return operators.hessian(objective, params, data)


def _relative(objective: Objective, params: Params, data: Chunks) -> operators.Operator:
    return operators.relative(_hessian(objective, params, data), ravel_pytree(params)[0])


def _top(make: Callable[[Objective, Params, Chunks], operators.Operator]) -> Measure:
    return lambda objective, params, data, key: estimators.largest_eigenvalues(
        make(objective, params, data), key, _LANCZOS
    ).value[0]


def _trace(make: Callable[[Objective, Params, Chunks], operators.Operator]) -> Measure:
    return lambda objective, params, data, key: (
        estimators.trace(make(objective, params, data), key, _PROBES).value
    )


def _average(adaptive: bool) -> Measure:
    return lambda objective, params, data, key: (
        sharpness.average_case(
            objective, params, data, key, _RHO, adaptive=adaptive, probes=_PROBES
        ).value
    )


def _pac_bayes(aware: bool) -> Measure:
    return lambda objective, params, data, key: (
        norms.pac_bayes(objective, params, data, key, magnitude_aware=aware).value
    )


MEASURES: dict[str, Measure] = {
    "lambda_max": _top(_hessian),
    "relative_lambda_max": _top(_relative),
    "trace": _trace(_hessian),
    "relative_trace": _trace(_relative),
    "sam_sharpness": lambda o, p, d, _: sharpness.ascent(o, p, d, _RHO).value,
    "adaptive_sharpness": lambda o, p, d, _: sharpness.adaptive(o, p, d, _RHO).value,
    "gaussian_sharpness": _average(adaptive=False),
    "average_sharpness": _average(adaptive=True),
    "keskar_sharpness": lambda o, p, d, _: sharpness.keskar_box(o, p, d, _EPSILON, 20).value,
    "relative_box": lambda o, p, d, _: sharpness.relative_box(o, p, d, _EPSILON).value,
    "pac_bayes": _pac_bayes(aware=False),
    "magnitude_aware_pac_bayes": _pac_bayes(aware=True),
    "weight_norm": lambda o, p, d, _: norms.weight_norm(p),
    "fisher_rao": lambda o, p, d, _: norms.fisher_rao(o, p, d),
}

# The counterpart of each plain measure that no exact rescaling changes.
INVARIANT = {
    "lambda_max": "relative_lambda_max",
    "trace": "relative_trace",
    "sam_sharpness": "adaptive_sharpness",
    "gaussian_sharpness": "average_sharpness",
    "keskar_sharpness": "relative_box",
    "pac_bayes": "magnitude_aware_pac_bayes",
    "weight_norm": "fisher_rao",
}
