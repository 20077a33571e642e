"""What is shown of the music: a table, figures, and files to listen to."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from minima.record.files import write_atomically
from minima.record.tables import Table, Value
from minima.statistics.intervals import t_interval
from parts.long_range_coherence.coherence import Source, Written
from parts.long_range_coherence.config import AMBIENT, SECONDS, CoherenceConfig
from parts.long_range_coherence.sound import to_wav
from parts.long_range_coherence.written import arrays


def table(source: Source, found: Mapping[str, Written], least: Mapping[str, float]) -> Table:
    """Coherence of every network at every lag, beside the music itself and noise."""
    columns = ["who", "parameters", "learning_rate", "hears_back_notes"]
    columns += ["test_loss_nats", "least_loss_nats"]
    hidden = []
    for seconds in SECONDS:
        limits = [f"coherence_{seconds}_s_{end}" for end in ("low", "high")]
        columns += [f"coherence_{seconds}_s", *limits]
        hidden += limits
    seeds = len(next(iter(found.values())).loss)
    rows = [
        _reference("the music itself", (1.0,) * len(SECONDS)),
        _reference("its notes in random order", source.shuffled),
    ]
    for name, each in found.items():
        row: list[Value] = [name, each.parameters, each.rate, each.memory or source.length]
        row += [float(each.loss.mean()), least.get(name)]
        for values in each.coherence.T:
            row += _interval(values)
        rows.append(row)
    lags = ", ".join(f"{lag.seconds} s = {lag.notes} notes" for lag in source.lags)
    notes: tuple[str, ...] = (f"0: a piece's notes in random order, 1: the music itself; {lags}",)
    title = f"coherence of what networks write: mean over {seeds} seeds"
    if least:
        notes += ("least loss: of whoever knows how pieces are made and hears as far back",)
    return Table(title, tuple(columns), rows, tuple(hidden), notes)


def _reference(who: str, coherence: Sequence[float]) -> list[Value]:
    row: list[Value] = [who, None, None, None, None, None]
    for value in coherence:
        row += [value, None, None]
    return row


def _interval(values: np.ndarray) -> list[Value]:
    if len(values) < 2:
        return [float(values.mean()), None, None]
    interval = t_interval(values)
    return [interval.estimate, interval.low, interval.high]


def write_pieces(
    directory: Path, source: Source, found: Mapping[str, Written], config: CoherenceConfig
) -> list[Path]:
    """All pieces as tokens, and the first of each as sound; says where.

    Raises:
      DiskFull: no room.
    """
    folder, content = directory / "pieces", io.BytesIO()
    folder.mkdir(exist_ok=True)
    pieces = arrays(source, found)
    np.savez(content, **pieces)  # type: ignore[arg-type]
    paths = [folder / "pieces.npz"]
    write_atomically(paths[0], content.getvalue())
    if config.music.dataset == AMBIENT:
        for name, written in pieces.items():
            paths.append(folder / f"{name}.wav")
            first = written.reshape(-1, written.shape[-1])[0]
            write_atomically(paths[-1], to_wav(first, config.music.notes_per_second))
    return paths
