"""Pictures of trainability, further and further in; each is kept on disk as soon as it is there."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minima.claims.evidence import Floats
from minima.landscape.trainability import Window, dimension, edge, make_problem, picture
from minima.record.files import write_atomically
from parts.learning_rate_regimes.config import PictureConfig

WHOLE = Window(3.0, 2.5, 6.0)  # where the edge of a network of 16 units is, found on seed 0


@dataclass(frozen=True)
class Seen:
    """One picture.

    Attributes:
      seed: of data and initial weights. level: 0 for the whole, then zooms.
      window: what is seen. ends: (pixels, pixels), below 1 where a pair of rates trains.
    """

    seed: int
    level: int
    window: Window
    ends: Floats

    @property
    def dimension(self) -> float:
        """Box-counting dimension of the edge; NaN where there is none."""
        return dimension(edge(self.ends < 1))


def pictures(config: PictureConfig, folder: Path) -> list[Seen]:
    """Every seed's pictures; a zoom that has nothing to look at ends its seed's."""
    folder.mkdir(parents=True, exist_ok=True)
    return [seen for seed in config.picture_seeds for seen in _of_seed(config, folder, seed)]


def _of_seed(config: PictureConfig, folder: Path, seed: int) -> Iterator[Seen]:
    window, problem = WHOLE, make_problem(config.hidden_width, seed)
    for level in range(config.zooms + 1):
        ends = _kept(folder / f"seed-{seed}-zoom-{level}.npy", config.pixels)
        if ends is None:
            ends = picture(problem, window, config.pixels, config.picture_updates)
            content = io.BytesIO()
            np.save(content, ends)
            write_atomically(folder / f"seed-{seed}-zoom-{level}.npy", content.getvalue())
        yield Seen(seed, level, window, ends)
        if not edge(ends < 1).any():
            return
        window = window.zoomed(ends < 1, config.zoom)


def _kept(path: Path, pixels: int) -> Floats | None:
    """What an earlier call has written."""
    if not path.exists():
        return None
    ends = np.load(path, allow_pickle=False)
    return ends if ends.shape == (pixels, pixels) else None
