"""People decide where a model is unsure: a reject option (Chow 1970), and what comes of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minima.evaluation import arrays


@dataclass(frozen=True)
class Reviewed:
    """What comes of sending a share of the cases to people.

    Attributes:
      share: sent, in [0, 1].
      decided: (n,) final decisions.
      sent: (n,) who was sent.
    """

    share: float
    decided: NDArray[np.bool_]
    sent: NDArray[np.bool_]


def least_sure(scores: ArrayLike, share: float, threshold: float = 0.5) -> NDArray[np.bool_]:
    """(n,) those whose scores lie nearest to the threshold, round(share · n) of them.

    Raises:
      UserError: scores that are no finite numbers.
    """
    s = arrays.finite(scores, "scores")
    order = np.argsort(abs(s - threshold), kind="stable")
    sent = np.zeros(len(s), bool)
    sent[order[: round(share * len(s))]] = True
    return sent


def review(
    decided: ArrayLike, truth: ArrayLike, sent: ArrayLike, skill: float, seed: int = 0
) -> Reviewed:
    """Decisions after people looked at some of them.

    A reviewer is right about the truth with probability `skill`, about everybody alike: whether
    real ones are has to be measured, not assumed.

    Raises:
      UserError: arrays that don't fit.
    """
    d, y = arrays.decisions(decided), arrays.decisions(truth, "truth")
    who = arrays.decisions(sent, "sent")
    arrays.same_length(len(d), {"truth": y, "sent": who})
    right = np.random.default_rng(seed).random(len(d)) < skill
    return Reviewed(float(who.mean()), np.where(who, y == right, d), who)
