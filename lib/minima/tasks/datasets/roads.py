"""Travel times on a real road network under simulated traffic.

The roads are Minnesota's (2,642 crossings, 3,303 roads; from MatlabBGL by way of PyGSP), or a
user's own. No traffic was measured on them: how slow each crossing is and where an ambulance stands
is drawn, so the dataset is a stand-in all the same.
"""

import functools
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from minima.runtime.errors import UserError
from minima.tasks.datasets.dataset import Dataset, Edges, Split, assemble
from minima.tasks.datasets.npz import read_members

ROADS, REWIRED = "roads", "roads_rewired"
FORMS = (ROADS, REWIRED)
MINNESOTA = Path(__file__).parent / "files" / "minnesota_roads.npz"
TOLERANCE = 0.25  # minutes


@dataclass(frozen=True)
class Settings:
    """The simulation's settings.

    crossings: of the network that are kept, around its middle.
    stations: probability that an ambulance stands at a crossing.
    minutes: over a road at a crossing in free traffic; jam: standard deviation of the logarithm.
    swaps: of the ends of roads, per road, in the rewired map.
    num_train, num_test: states of traffic. seed: of everything.
    """

    crossings: int = 100
    stations: float = 0.08
    minutes: float = 1.0
    jam: float = 0.7
    swaps: int = 20
    num_train: int = 2_000
    num_test: int = 1_000
    seed: int = 35


def load_roads(form: str, path: str, validation_fraction: float) -> Dataset:
    """States of traffic (n, crossings, 2) float32 on one graph, labelled by a time, float32 (n,).

    Features of a crossing: the logarithm of its minutes, and 1 where an ambulance stands. The label
    is the mean over crossings of the minutes that the nearest ambulance takes, less the training
    set's mean. A road takes the mean of the minutes of its ends.

    form: "roads"; or "roads_rewired", the same states and labels with a map that is wrong: every
        crossing has as many roads as in truth, and they lead elsewhere.
    path: an npz of xy (n, 2) and edges (m, 2), integers from 0; "" for Minnesota's.

    Raises UserError if the file is not of this form, or its roads around the middle are too few.
    """
    settings, where = Settings(), f"--dataset '{form}:{path}'"
    points, pairs = _read(path, where)
    _, edges = middle(points, pairs, settings.crossings, where)
    train, test = (
        draw(count, edges, settings, settings.seed + k)
        for k, count in enumerate((settings.num_train, settings.num_test))
    )
    usual = train.labels.mean()
    map_ = rewired(edges, settings) if form == REWIRED else edges
    dataset = assemble(
        f"{form}:{path}" if path else form,
        *(Split(each.inputs, (each.labels - usual).astype(np.float32)) for each in (train, test)),
        num_classes=1,
        kind="graph",
        validation_fraction=validation_fraction,
        licence="roads: not stated"
        if path
        else "roads: BSD-3-Clause (PyGSP); traffic: none needed",
        source=(os.path.basename(path) or "roads of Minnesota")
        + f", simulated traffic, seed {settings.seed}",
        stand_in=True,
        edges=map_,
    )
    return replace(dataset, tolerance=TOLERANCE)


def middle(
    points: np.ndarray, pairs: np.ndarray, count: int, where: str = "roads"
) -> tuple[np.ndarray, Edges]:
    """The `count` crossings that are nearest by road, in roads, to the middle of the map.

    Args:
      points: (n, 2) places; their median is the middle.
      pairs: (m, 2) int, roads.
      count: crossings to keep.
      where: how an error opens.

    Returns:
      Numbers of the crossings kept, nearest first, and roads between them by their new numbers.

    Raises:
      UserError: fewer are connected with the middle.
    """
    near: list[list[int]] = [[] for _ in points]
    for a, b in pairs.tolist():
        near[a].append(b)
        near[b].append(a)
    start = int(np.square(points - np.median(points, axis=0)).sum(axis=1).argmin())
    kept, at = [start], 0
    found = {start}
    while at < len(kept) and len(kept) < count:
        fresh = [other for other in sorted(near[kept[at]]) if other not in found]
        found.update(fresh)
        kept += fresh
        at += 1
    if len(kept) < count:
        raise UserError(
            f"{where}: from the middle of the map {len(kept)} crossings are reached; there must be "
            f"{count}"
        )
    number = {old: new for new, old in enumerate(kept[:count])}
    inside = [(number[a], number[b]) for a, b in pairs.tolist() if a in number and b in number]
    edges = tuple(sorted({(min(pair), max(pair)) for pair in inside if pair[0] != pair[1]}))
    return np.array(kept[:count]), edges


@functools.lru_cache(maxsize=8)
def draw(count: int, edges: Edges, settings: Settings, seed: int) -> Split:
    """States of traffic, and the mean minutes to the nearest ambulance, float32 (count,)."""
    random = np.random.RandomState(seed)
    shape = (count, settings.crossings)
    slowness = np.log(settings.minutes) + settings.jam * random.standard_normal(shape)
    stands = random.random_sample(shape) < settings.stations
    stands[np.arange(count), random.randint(settings.crossings, size=count)] = True  # one at least
    times = minutes_to_nearest(np.exp(slowness), stands, edges)
    inputs = np.stack([slowness, stands], axis=2).astype(np.float32)
    return Split(inputs, times.mean(axis=1).astype(np.float32))


def minutes_to_nearest(minutes: np.ndarray, stands: np.ndarray, edges: Edges) -> np.ndarray:
    """Shortest travel times (n, nodes) to the nearest node that `stands`, by Bellman and Ford.

    Args:
      minutes: (n, nodes) of each node; a road takes the mean of its ends.
      stands: (n, nodes) bool, at least one of each row.
      edges: roads; infinity where none leads there.
    """
    a, b = np.array(edges).T
    ends = np.concatenate([a, b]), np.concatenate([b, a])
    order = np.argsort(ends[0], kind="stable")
    to, start = ends[0][order], ends[1][order]
    road = (minutes[:, to] + minutes[:, start]) / 2
    first = np.flatnonzero(np.diff(to, prepend=-1))
    times = np.where(stands, 0.0, np.inf)
    while True:
        nearer = np.minimum.reduceat(times[:, start] + road, first, axis=1)
        better = times.copy()
        better[:, to[first]] = np.minimum(times[:, to[first]], nearer)
        if np.array_equal(better, times):
            return times
        times = better


def rewired(edges: Edges, settings: Settings) -> Edges:
    """A map with the same number of roads at every crossing, by random swaps of their ends."""
    random = np.random.RandomState(settings.seed)
    roads = [*edges]
    there = {frozenset(road) for road in roads}
    for _ in range(settings.swaps * len(roads)):
        i, j = random.randint(len(roads), size=2)
        (a, b), (c, d) = roads[i], roads[j]
        swapped = (a, d), (c, b)
        new = {frozenset(road) for road in swapped}
        if len({a, b, c, d}) < 4 or new & there:
            continue
        there -= {frozenset(roads[i]), frozenset(roads[j])}
        there |= new
        roads[i], roads[j] = swapped
    return tuple(sorted((min(road), max(road)) for road in roads))


def _read(path: str, where: str) -> tuple[np.ndarray, np.ndarray]:
    points, pairs = read_members(os.path.expanduser(path) or str(MINNESOTA), ("xy", "edges"), where)
    if points.ndim != 2 or points.shape[1] != 2 or points.dtype.kind not in "iuf":
        raise UserError(
            f"{where}: xy has shape {points.shape}; it must be numbers (n, 2), a place each"
        )
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise UserError(
            f"{where}: edges has shape {pairs.shape} of {pairs.dtype}; it must be integers (m, 2)"
        )
    if pairs.size and not 0 <= pairs.min() <= pairs.max() < len(points):
        raise UserError(
            f"{where}: edges name the crossings {pairs.min()} to {pairs.max()}; there are "
            f"0 to {len(points) - 1}"
        )
    return points.astype(np.float64), pairs.astype(np.int64)
