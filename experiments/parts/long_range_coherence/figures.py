"""Coherence against seconds, and what the music looks like."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from judged import Judged
from minima.claims.claims_figure import claims_figure
from minima.record.figure_style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    TEXT,
    VERMILLION,
    Picture,
    Sheet,
    bare,
    legend_below,
)
from minima.statistics.intervals import t_interval
from parts.long_range_coherence.coherence import Source, Written
from parts.long_range_coherence.config import CNN, LSTM, SECONDS, TRANSFORMER, CoherenceConfig
from parts.long_range_coherence.sound import pitch

NAMES = {CNN: "CNN", LSTM: "LSTM", TRANSFORMER: "transformer"}
_COLOURS = {CNN: VERMILLION, LSTM: ORANGE, TRANSFORMER: BLUE}
_VOICES = (GREEN, ORANGE, BLUE)
_LEFT, _WIDE, _HIGH = 0.6, 5.6, 1.15  # inches of a piano roll
_CURVE = 2.6


def pictures(
    source: Source,
    found: Mapping[str, Written],
    ordered: Sequence[Judged],
    config: CoherenceConfig,
    run: str,
) -> dict[str, Picture]:
    """Every figure, by name."""
    claims, verdicts = zip(*ordered, strict=True)
    drawn = {
        "coherence": coherence_figure(source, found, run),
        "pieces": pieces_figure(source, found, config, run),
    }
    forest = claims_figure(verdicts, run, claims)
    return drawn if forest is None else drawn | {"claims": forest}


def coherence_figure(source: Source, found: Mapping[str, Written], run: str) -> Picture:
    """Coherence of what each network writes at each lag: every seed, mean and interval."""
    sheet = Sheet(_LEFT + 4.2)
    seeds = len(next(iter(found.values())).loss)
    about = (
        f"0: a piece's notes in random order; 1: the music itself. n = {seeds} seeds: a dot each, "
        "their mean and its 95 % interval"
    )
    top = sheet.head(0, "How far back music remembers", about, run)
    plot = sheet.plot(_LEFT, top, 4.0, _CURVE)
    bare(plot)
    places = np.arange(len(SECONDS))
    for level, name in ((1.0, "the music itself"), (0.0, "noise")):
        plot.axhline(level, color=GREY, linewidth=0.9, linestyle="--", zorder=0)
        plot.text(len(SECONDS) - 0.55, level, name, fontsize=7, va="bottom", ha="right")
    handles = [
        _curve(plot, places, NAMES[n], _COLOURS[n], found[n], i) for i, n in enumerate(NAMES)
    ]
    plot.set_xlim(-0.45, len(SECONDS) - 0.55)
    plot.set_xticks(places, [f"{lag.seconds} s\n{lag.notes} notes" for lag in source.lags])
    plot.set_ylabel("coherence", fontsize=TEXT)
    legend_below(plot, handles, 0.55, 3)
    return sheet.finish()


def _curve(
    plot: Axes, places: np.ndarray, name: str, colour: str, written: Written, number: int
) -> Line2D:
    at = places + 0.12 * (number - 1)
    means = written.coherence.mean(axis=0)
    for row in written.coherence:
        plot.plot(at, row, ".", color=colour, markersize=4, alpha=0.4)
    if len(written.coherence) > 1:
        intervals = [t_interval(column) for column in written.coherence.T]
        plot.vlines(
            at, [i.low for i in intervals], [i.high for i in intervals], colour, linewidth=2
        )
    (line,) = plot.plot(at, means, "o-", color=colour, linewidth=1.2, markersize=6, label=name)
    return line


def pieces_figure(
    source: Source, found: Mapping[str, Written], config: CoherenceConfig, run: str
) -> Picture:
    """The first piece of each as a piano roll; grey lines every 10 seconds."""
    sheet = Sheet(_LEFT + _WIDE + 0.2)
    about = (
        "the first piece of the test set, and what each network makes of its first note (first "
        "seed); a colour for each voice"
    )
    top = sheet.head(0, "What they write", about, run)
    rolls = [("the music itself", source.pieces[0])]
    rolls += [(NAMES[name], found[name].pieces[0, 0]) for name in NAMES]
    for i, (name, tokens) in enumerate(rolls):
        plot = sheet.plot(_LEFT, top + 0.2 + i * (_HIGH + 0.35), _WIDE, _HIGH)
        bare(plot)
        plot.set_title(name, fontsize=TEXT, weight="bold", loc="left")
        _roll(plot, tokens, source, config.music.notes_per_second)
        if i + 1 < len(rolls):
            plot.set_xticklabels([])
        else:
            plot.set_xlabel("seconds", fontsize=TEXT)
    return sheet.finish()


def _roll(plot: Axes, tokens: np.ndarray, source: Source, notes_per_second: int) -> None:
    time = np.arange(len(tokens)) / notes_per_second
    voices = source.lags[0].voices
    height = pitch if voices > 1 else int
    colours = np.array(_VOICES)[np.arange(len(tokens)) % voices]
    heights = np.array([height(token) for token in range(int(source.pieces.max()) + 1)])
    plot.scatter(time, heights[tokens], c=colours, s=5, marker="s", linewidths=0)
    plot.set_xticks(np.arange(0, time[-1] + 1, 10))
    plot.grid(axis="x", color="0.88", linewidth=0.8)
    plot.set_xlim(-0.5, time[-1] + 0.5)
    plot.set_ylim(heights.min() - 1, heights.max() + 1)
    plot.set_ylabel("pitch" if voices > 1 else "note", fontsize=TEXT)
