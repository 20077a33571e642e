"""Optimisers from optax, built from traced hyperparameters, so that one compile serves a plane.

An optax transformation is a pair of pure functions; building it inside the traced program lets the
learning rate, momentum and decay be arrays. The order is fixed: divide by the weight (done by the
lane), clip, decay, update.
"""

from typing import Any, NamedTuple

import optax

# (momentum or β1, β2) where no flag says otherwise; each is its inventors' choice.
DEFAULT_MOMENTA = {
    "sgd": (0.0, 0.0),
    "momentum": (0.9, 0.0),
    "nesterov": (0.9, 0.0),
    "adam": (0.9, 0.999),
    "adamw": (0.9, 0.999),
    "lion": (0.9, 0.99),
    "muon": (0.95, 0.999),
}
OPTIMIZERS = tuple(DEFAULT_MOMENTA)
# Foret et al. 2021 and Kwon et al. 2021, for CIFAR-10.
DEFAULT_RHO = {"none": 0.0, "sam": 0.05, "asam": 0.5}
DECOUPLED = ("adamw", "lion", "muon")


class Hyper(NamedTuple):
    """A cell's traced hyperparameters; scalars in the model's dtype unless said.

    Attributes:
      learning_rate: of this update, or before schedules act on it.
      momentum: heavy-ball coefficient, or Adam's β1.
      beta2: Adam's β2.
      weight_decay: coefficient of params added to the gradient (L2), after clipping.
      clip_norm: gradients are scaled down to this global norm; inf for never.
      warmup_examples: the rate climbs linearly over this many examples; 0 for no warm-up.
      dropout, label_smoothing, label_noise, label_flips: probabilities in [0, 1).
      rho, rho_share: how far a sharpness-aware gradient climbs, and its share of the gradient.
      weight_noise: standard deviation of the noise in the weights that gradients see.
      group_dro: how fast the adversary of group DRO climbs; 0 for the mean loss.
      irm_penalty, vrex_penalty, parity_penalty: strengths; see `group_objectives`.
      penalty_warmup_examples: for so many examples no penalty is above 1.
      reweighting: share of the examples' own weights in what they count, the rest is 1.
      average_keep: what an update leaves of an average's weight; 1 for an equal mean.
      batch_size: int32 scalar.
    """

    learning_rate: Any
    momentum: Any
    beta2: Any
    weight_decay: Any
    clip_norm: Any
    warmup_examples: Any
    dropout: Any
    label_smoothing: Any
    label_noise: Any
    label_flips: Any
    rho: Any
    rho_share: Any
    weight_noise: Any
    group_dro: Any
    irm_penalty: Any
    vrex_penalty: Any
    parity_penalty: Any
    penalty_warmup_examples: Any
    reweighting: Any
    average_keep: Any
    batch_size: Any


class Features(NamedTuple):
    """What a program compiles in, because at least one of its cells uses it.

    `decay` is one of `config.DECAYS`; `sharpness_aware` is "none", "sam" or "asam", `average`
    "none", "ema" or "swa", `parity` one of `config.PARITIES`.
    """

    clipping: bool = False
    weight_decay: bool = False
    warmup: bool = False
    decay: str = "none"
    dropout: bool = False
    label_smoothing: bool = False
    label_noise: bool = False
    label_flips: bool = False
    sharpness_aware: str = "none"
    weight_noise: bool = False
    average: str = "none"
    group_dro: bool = False
    irm_penalty: bool = False
    vrex_penalty: bool = False
    parity_penalty: bool = False
    parity: str = "demographic_parity"
    reweighting: bool = False


def make_optimizer(name: str, hyper: Hyper, features: Features) -> optax.GradientTransformation:
    """The optax chain clip → decay → `name`, for traced or concrete hyperparameters.

    Args:
      name: one of OPTIMIZERS. "sgd" is plain; "momentum" is heavy ball (Polyak 1964); "nesterov"
        Sutskever et al. 2013; "adam" Kingma & Ba 2015 with ε = 1e-8; "adamw" Loshchilov & Hutter
        2019; "lion" Chen et al. 2023; "muon" Jordan et al. 2024 for matrices and AdamW for the
        rest. In the last three, decay acts on the parameters, not through the gradient.
      hyper: scalars; build it anew for each update where a schedule changes them.
      features: parts that are left out are not compiled.
    """
    parts = []
    if features.clipping:
        parts.append(optax.clip_by_global_norm(hyper.clip_norm))
    if features.weight_decay and name not in DECOUPLED:
        parts.append(optax.add_decayed_weights(hyper.weight_decay))
    return optax.chain(*parts, _rule(name, hyper))


def _rule(name: str, hyper: Hyper) -> optax.GradientTransformation:
    rate, b1, b2, decay = hyper.learning_rate, hyper.momentum, hyper.beta2, hyper.weight_decay
    if name == "sgd":
        return optax.sgd(rate)
    if name in ("momentum", "nesterov"):
        return optax.sgd(rate, momentum=b1, nesterov=name == "nesterov")
    if name == "adam":
        return optax.adam(rate, b1=b1, b2=b2)
    if name == "adamw":
        return optax.adamw(rate, b1=b1, b2=b2, weight_decay=decay)
    if name == "lion":
        return optax.lion(rate, b1=b1, b2=b2, weight_decay=decay)
    if name == "muon":
        return optax.contrib.muon(
            rate, beta=b1, adam_b2=b2, weight_decay=decay, adam_weight_decay=decay
        )
    raise ValueError(f"{name!r} is none of {OPTIMIZERS}")
