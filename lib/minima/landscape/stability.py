"""How sharp a minimum may be before an optimiser leaves it: its edge of stability.

On a quadratic with largest eigenvalue λ, gradient descent with step size η shrinks every deviation
as long as λ < 2 / η. Trained on the full batch, networks sharpen until they get there, and then
stay (Cohen et al. 2021, arXiv:2103.00065, appendix B; Adam: Cohen et al. 2022, arXiv:2207.14484).
"""


def critical_sharpness(optimizer: str, learning_rate: float, momentum: float = 0.0) -> float:
    """The largest eigenvalue at which an optimiser becomes unstable on a quadratic.

    Args:
      optimizer: "sgd": 2 / η; "momentum": (2 + 2β) / η; "nesterov": (2 + 2β) / (η (1 + 2β));
        "adam": (2 + 2β₁) / (η (1 - β₁)), of the Hessian preconditioned by √v̂ + ε, which hardly
        changes from one update to the next.
      learning_rate: η, constant.
      momentum: β or β₁.

    Raises:
      ValueError: an optimiser without a known edge.
    """
    if optimizer == "sgd":
        return 2 / learning_rate
    edge = (2 + 2 * momentum) / learning_rate
    if optimizer == "momentum":
        return edge
    if optimizer == "nesterov":
        return edge / (1 + 2 * momentum)
    if optimizer == "adam":
        return edge / (1 - momentum)
    raise ValueError(f"{optimizer!r}: the edge is known for sgd, momentum, nesterov and adam")
