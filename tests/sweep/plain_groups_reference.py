"""Objectives over groups as their papers have them, for batches in which every group occurs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax


def counting(plan):
    """What each training example counts."""
    data, share = plan.dataset, plan.config.training.reweighting
    if not share:
        return np.ones(len(data.train))
    groups, weights = data.train.groups, data.train.weights
    if weights is None:
        weights = 1 / np.array([np.sum(groups == group) for group in groups])
    return (1 - share) + share * (weights / weights.mean()).astype(np.float32)


def strengths(plan, step, size):
    """(name, strength) of the penalties before the update `step`, of batches of that size."""
    training = plan.config.training
    early = step * size < training.penalty_warmup_examples
    named = {name: getattr(training, name) for name in ("irm_penalty", "vrex_penalty")}
    named["parity_penalty"] = training.parity_penalty
    return {name: min(x, 1) if early else x for name, x in named.items() if x}


def decays(plan, size):
    """L2 decay at every update, divided as the objective is."""
    scales = [max(1, sum(strengths(plan, t, size).values())) for t in range(plan.budget.steps)]
    return [plan.config.training.weight_decay / scale for scale in scales]


def decayed(values):
    """`optax.add_decayed_weights` with a strength of its own at every update."""

    def update(grads, count, params):
        decay = jnp.asarray(values)[count]
        return jax.tree.map(lambda g, w: g + decay * w, grads, params), count + 1

    return optax.GradientTransformation(lambda params: jnp.zeros((), int), update)


def objective(plan, now, logits, labels, groups, weights, loss):
    """(what the update goes down, the adversary after); `loss` is of logits and labels, by example.

    now: penalties' strengths by name, and the adversary.
    """
    named, q = now
    count = plan.dataset.num_groups
    training, each = plan.config.training, loss(logits, labels)
    of = [groups == group for group in range(count)]
    risks = jnp.stack([jnp.average(each, weights=weights * mask) for mask in of])
    found = jnp.average(each, weights=weights)
    if training.group_dro:
        q = q * jnp.exp(training.group_dro * jax.lax.stop_gradient(risks))
        q = q / q.sum()
        found = q @ risks
    if "irm_penalty" in named:

        def scaled(w):
            losses = loss(w * logits, labels)
            return jnp.stack([jnp.average(losses, weights=weights * mask) for mask in of])

        slopes = jax.jacrev(scaled)(jnp.asarray(1.0, logits.dtype))
        found += named["irm_penalty"] * jnp.mean(slopes**2)
    if "vrex_penalty" in named:
        found += named["vrex_penalty"] * jnp.var(risks)
    if "parity_penalty" in named:
        p = jax.nn.softmax(logits)
        among = {"demographic_parity": [labels >= 0], "equal_opportunity": [labels == 1]}
        among["equalized_odds"] = [labels == k for k in range(p.shape[1])]
        gaps = []
        for chosen in among[training.parity]:
            means = [jnp.average(p, axis=0, weights=weights * mask * chosen) for mask in of]
            gaps += [jnp.sum((a - b) ** 2) / 2 for a, b in itertools.combinations(means, 2)]
        found += named["parity_penalty"] * jnp.mean(jnp.stack(gaps))
    return found / jnp.maximum(1, sum(named.values())), q
