"""Opinions of people who know each other: how many friends agree, on one graph for all examples."""

from dataclasses import dataclass

import numpy as np

from minima.tasks.datasets.dataset import Dataset, Edges, Split, assemble

QUARTILE = 0.6744897501960817  # of a normal variable


@dataclass(frozen=True)
class Settings:
    """The benchmark's settings.

    people: nodes, spread uniformly over a square of side 1.
    reach: people this near are friends.
    num_train, num_test: examples. seed: of everything.
    """

    people: int = 64
    reach: float = 0.18
    num_train: int = 5_000
    num_test: int = 4_000
    seed: int = 0


def load_opinions(settings: Settings, validation_fraction: float) -> Dataset:
    """Makes opinions, float32 (n, people, 1), for (1) or against (-1), by lot and independent.

    Two friends who agree count 1, two who don't -1. The label says in which quarter of all cases
    the sum over friendships lies: it is normal in the limit, with mean 0 and the number of
    friendships as its variance. Each person's opinion says nothing about it, nor does any sum of
    them; whoever does not know the friendships has to find them, pair by pair.
    Raises UserError if validation_fraction does not fit.
    """
    edges = geometric_graph(settings)
    random = np.random.RandomState(settings.seed + 1)
    parts = [_draw(random, n, edges, settings) for n in (settings.num_train, settings.num_test)]
    return assemble(
        "opinions",
        *parts,
        num_classes=4,
        kind="graph",
        validation_fraction=validation_fraction,
        licence="none needed: generated numbers",
        source=f"generated, seed {settings.seed}",
        edges=edges,
    )


def geometric_graph(settings: Settings) -> Edges:
    """Friends: all pairs (a, b), a < b, of points no further apart than `reach` (Gilbert 1961)."""
    points = np.random.RandomState(settings.seed).random_sample((settings.people, 2))
    near = np.linalg.norm(points[:, None] - points[None], axis=2) <= settings.reach
    a, b = np.nonzero(np.triu(near, 1))
    return tuple(zip(a.tolist(), b.tolist(), strict=True))


def agreement(opinions: np.ndarray, edges: Edges) -> np.ndarray:
    """Friendships that agree less those that don't: opinions (n, people) of ±1 to (n,)."""
    a, b = np.array(edges).T
    return (opinions[:, a] * opinions[:, b]).sum(axis=1)


def _draw(random: np.random.RandomState, n: int, edges: Edges, settings: Settings) -> Split:
    opinions = 2.0 * random.randint(0, 2, (n, settings.people)) - 1
    bounds = QUARTILE * np.sqrt(len(edges)) * np.array([-1, 0, 1])
    labels = np.searchsorted(bounds, agreement(opinions, edges))
    return Split(opinions[..., None].astype(np.float32), labels.astype(np.int32))
