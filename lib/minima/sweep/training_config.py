"""How a cell trains: the leaves of the configuration that are not of data, grid or machine."""

from dataclasses import dataclass
from typing import Literal

from minima.sweep.budgets import Budget, parse_budget
from minima.sweep.grid import format_floats, parse_floats
from minima.sweep.leaf import (
    AT_LEAST_1,
    BELOW_1,
    INF,
    NOT_NEGATIVE,
    in_range,
    is_clip_norm,
    is_probability,
    is_share,
    leaf,
)

PARITIES = ("demographic_parity", "equal_opportunity", "equalized_odds")
DECAYS = ("none", "linear", "cosine", "sqrt")
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adam", "adamw", "lion", "muon")


@dataclass(frozen=True)
class TrainingConfig:
    """How a cell trains, and when it stops."""

    optimizer: Literal[OPTIMIZERS] = leaf(  # type: ignore[valid-type]
        "momentum", "the update rule"
    )
    budget: Budget = leaf(
        Budget(epochs=25),
        "20epochs, 5000steps or 1e6examples; more conditions after commas, whichever is first: "
        "validation_accuracy>=0.85, early_stopping=5",
        parse=parse_budget,
        format=str,
    )
    evaluations: int = leaf(
        10,
        "points on a cell's curve; targets and early stopping look there",
        check=in_range(1, 10_001),
    )
    momentum: float | None = leaf(
        None, "heavy-ball coefficient, beta1; none: 0.9 (muon 0.95)", check=BELOW_1
    )
    beta2: float | None = leaf(
        None, "beta2 of adam, adamw, lion; none: 0.999 (lion 0.99)", check=BELOW_1
    )
    beta2_half_life: float = leaf(
        0.0, "beta2 as a half-life in examples, whatever the batch; 0: off", check=NOT_NEGATIVE
    )
    learning_rate_scaling: Literal["none", "sqrt", "linear"] = leaf(
        "none", "multiplies rates by batch size / base batch size, or its root"
    )
    base_batch_size: int = leaf(32, "where scaling leaves rates as they are", check=AT_LEAST_1)
    weight_decay: float = leaf(
        0.0,
        "added to gradients after clipping (L2); decoupled in adamw, lion and muon",
        check=NOT_NEGATIVE,
    )
    clip_norm: float = leaf(
        INF, "largest global gradient norm; inf: no clipping", check=is_clip_norm
    )
    warmup_examples: int = leaf(
        0, "examples over which the rate climbs linearly", check=NOT_NEGATIVE
    )
    milestones: tuple[float, ...] = leaf(
        (),
        "epochs at which rate and batch size change, such as 10,20; none for a constant course",
        parse=lambda text: () if text == "none" else parse_floats(text, positive=True),
        format=lambda epochs: format_floats(epochs) if epochs else "none",
    )
    rate_factor: float = leaf(
        1.0, "of the learning rate at each milestone", check=in_range(0, INF, open_low=True)
    )
    batch_factor: int = leaf(
        1,
        "of the batch size at each milestone: grow it instead of decaying the rate",
        check=AT_LEAST_1,
    )
    decay: Literal[DECAYS] = leaf(  # type: ignore[valid-type]
        "none", "how the rate falls to zero at the end; none keeps the run free of a horizon"
    )
    decay_fraction: float = leaf(
        1.0, "share of the updates, at the end, over which it decays", check=is_share
    )
    dropout: float = leaf(0.0, "probability of dropping a unit", check=BELOW_1)
    label_smoothing: float = leaf(0.0, "share of the uniform target", check=BELOW_1)
    label_noise: float = leaf(
        0.0, "probability that a training label is redrawn at random", check=is_probability
    )
    sharpness_aware: Literal["none", "sam", "asam"] = leaf(
        "none", "gradients from where the loss rises most nearby (SAM), measured by weight (ASAM)"
    )
    rho: float | None = leaf(None, "how far SAM climbs; none: 0.05 (asam 0.5)", check=NOT_NEGATIVE)
    rho_share: float = leaf(
        1.0,
        "of SAM's gradient, the rest is the plain one: below 1 a gradient-norm penalty",
        check=is_share,
    )
    sam_examples: int = leaf(
        0,
        "examples that climb together (m-sharpness); 0: the batch, a program for each batch size",
        check=NOT_NEGATIVE,
    )
    label_flips: float = leaf(
        0.0, "probability that a label is redrawn each time it is seen", check=BELOW_1
    )
    weight_noise: float = leaf(
        0.0, "standard deviation of noise in the weights that gradients see", check=NOT_NEGATIVE
    )
    average: Literal["none", "ema", "swa"] = leaf(
        "none", "evaluate averaged weights: exponentially, or equally over the last updates"
    )
    average_half_life: float = leaf(
        0.0, "of ema, in examples, whatever the batch", check=NOT_NEGATIVE
    )
    average_fraction: float = leaf(
        0.25, "share of the updates, at the end, that swa averages over", check=is_share
    )
    group_dro: float = leaf(
        0.0,
        "how fast group DRO's adversary climbs the groups' losses, such as 0.01; 0: the mean loss",
        check=NOT_NEGATIVE,
    )
    irm_penalty: float = leaf(
        0.0,
        "on the slope of each group's loss along the outputs' scale (IRMv1)",
        check=NOT_NEGATIVE,
    )
    vrex_penalty: float = leaf(
        0.0, "on the variance of the groups' losses (V-REx)", check=NOT_NEGATIVE
    )
    parity_penalty: float = leaf(
        0.0, "on squared differences between the groups' mean scores", check=NOT_NEGATIVE
    )
    parity: Literal[PARITIES] = leaf(  # type: ignore[valid-type]
        "demographic_parity", "whose scores: everybody's, those of class 1, or class by class"
    )
    penalty_warmup_examples: int = leaf(
        0, "examples over which these penalties are 1 at most", check=NOT_NEGATIVE
    )
    reweighting: float = leaf(
        0.0,
        "share of the examples' weights in what they count; they are the data's, else those that "
        "make all groups count the same",
        check=is_probability,
    )
    divergence_loss: float = leaf(
        1000.0,
        "a training loss above this (mean since the last evaluation) counts as diverged",
        check=in_range(0, INF, open_low=True),
    )
    dtype: Literal["float32", "float64"] = leaf("float32", "of parameters and arithmetic")
    compute_dtype: Literal["default", "bfloat16"] = leaf(
        "default",
        "of matrix products and what lies between layers; parameters, sums and statistics keep "
        "--dtype",
    )
