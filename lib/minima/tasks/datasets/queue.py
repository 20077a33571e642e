"""A queue with room for a few: how many still wait after a day of arrivals and departures."""

from dataclasses import dataclass

import numpy as np

from minima.tasks.datasets.dataset import Dataset, Split, assemble


@dataclass(frozen=True)
class Settings:
    """The benchmark's settings.

    room: the most who can wait; whoever comes then goes away.
    events: in a day, each an arrival (+1) or a departure (-1) by lot.
    noise: standard deviation of what is added to every event.
    num_train, num_test: days. seed: of everything.
    """

    room: int = 4
    events: int = 32
    noise: float = 0.1
    num_train: int = 5_000
    num_test: int = 4_000
    seed: int = 0


def load_queue(settings: Settings, validation_fraction: float) -> Dataset:
    """Makes days, float32 (n, events), labelled by how many wait at the end, 0 .. room.

    The recursion is Lindley's (1952) with a full room: w' = min(max(w + event, 0), room), from an
    empty one. What an event does depends on all that came before it, by way of one small number.
    Raises UserError if validation_fraction does not fit.
    """
    random = np.random.RandomState(settings.seed)
    parts = [_draw(random, n, settings) for n in (settings.num_train, settings.num_test)]
    return assemble(
        "queue",
        *parts,
        num_classes=settings.room + 1,
        kind="signal",
        validation_fraction=validation_fraction,
        licence="none needed: generated numbers",
        source=f"generated, seed {settings.seed}",
    )


def waiting(events: np.ndarray, room: int) -> np.ndarray:
    """How many wait at the end, (n,), after events (n, time) of +1 or -1."""
    count = np.zeros(len(events), events.dtype)
    for event in events.T:
        count = np.clip(count + event, 0, room)
    return count


def _draw(random: np.random.RandomState, n: int, settings: Settings) -> Split:
    events = 2 * random.randint(0, 2, (n, settings.events)) - 1
    noise = settings.noise * random.standard_normal(events.shape)
    return Split(
        (events + noise).astype(np.float32), waiting(events, settings.room).astype(np.int32)
    )
