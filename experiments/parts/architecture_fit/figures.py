"""Pictures: what destroyed structure costs, how many examples are needed, what is remembered."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.lines import Line2D

from judged import Judged
from minima.claims.claims_figure import claims_figure
from minima.record.figure_style import (
    BLUE,
    GREEN,
    GREY,
    NUMBERS,
    ORANGE,
    PURPLE,
    SKY,
    SMALL,
    TEXT,
    VERMILLION,
    Picture,
    Sheet,
    bare,
    legend_below,
)
from parts.architecture_fit.config import (
    CNN,
    DESTROYED,
    GNN,
    GRU,
    INTACT,
    LSTM,
    MLP,
    SET,
    TRANSFORMER,
)
from parts.architecture_fit.outcomes import Curves
from parts.architecture_fit.streaming import Streams

COLOURS = {
    MLP: GREY,
    CNN: VERMILLION,
    GRU: SKY,
    LSTM: BLUE,
    TRANSFORMER: PURPLE,
    SET: ORANGE,
    GNN: GREEN,
}
_MARKERS = {MLP: "o", CNN: "s", GRU: "<", LSTM: "^", TRANSFORMER: "D", SET: "v", GNN: "P"}
_WIDE, _HIGH, _GAP, _LEFT = 2.5, 2.4, 0.6, 1.15  # inches
_SAID = {"spatial": "images", "sequential": "a queue in time", "graph": "friends on a graph"}


def pictures(
    tasks: Mapping[str, Curves], streams: Streams, ordered: Sequence[Judged], run: str
) -> dict[str, Picture]:
    """Every figure, by name."""
    drawn = {"streams": _streams(streams, run)}
    if tasks:
        drawn = {"fit": _fit(tasks, run), "efficiency": _efficiency(tasks, run)} | drawn
    claims, verdicts = zip(*ordered, strict=True)
    forest = claims_figure(verdicts, run, claims)
    return drawn if forest is None else drawn | {"claims": forest}


def _seeds(tasks: Mapping[str, Curves]) -> int:
    curves = next(iter(tasks.values()))
    return curves.found[INTACT, curves.models[0]].shape[1]


def _fit(tasks: Mapping[str, Curves], run: str) -> Picture:
    """A line from destroyed (hollow) to intact (full) for every architecture."""
    sheet = Sheet(_LEFT + len(tasks) * (_WIDE + _GAP))
    top = sheet.head(
        0,
        "An architecture is an assumption about the data",
        "full: as the data are; hollow: the same with positions permuted, or with wrong edges; "
        f"means and single seeds, n = {_seeds(tasks)} seeds",
        run,
    )
    names = list(dict.fromkeys(m for curves in tasks.values() for m in curves.models))
    for i, (task, curves) in enumerate(tasks.items()):
        plot = sheet.plot(_LEFT + i * (_WIDE + _GAP), top + 0.25, _WIDE, 0.34 * len(names))
        for row, model in enumerate(names):
            if model not in curves.models:
                plot.text(0.5, row, "reads no such data", fontsize=SMALL, va="center", color=GREY,
                          ha="center", transform=plot.get_yaxis_transform())  # fmt: skip
                continue
            colour = COLOURS[model]
            intact, destroyed = (curves.full(v, model) for v in (INTACT, DESTROYED))
            plot.plot([destroyed.mean(), intact.mean()], [row, row], color=colour, linewidth=1.5)
            for values, face in ((destroyed, "white"), (intact, colour)):
                plot.plot(values, np.full(len(values), row), "|", color=colour, markersize=7)
                plot.plot([values.mean()], [row], "o", color=colour, markerfacecolor=face)
        bare(plot)
        plot.grid(axis="x", color="0.92", linewidth=0.8)
        plot.set_ylim(len(names) - 0.5, -0.5)
        plot.set_yticks(range(len(names)), names if i == 0 else [""] * len(names))
        plot.set_title(f"{task}: {_SAID[task]}", fontsize=TEXT, loc="left")
        plot.set_xlabel(f"test accuracy in %, {curves.sizes[-1]:,} examples", fontsize=NUMBERS)
    return sheet.finish()


def _efficiency(tasks: Mapping[str, Curves], run: str) -> Picture:
    sheet = Sheet(0.7 + len(tasks) * (_WIDE + _GAP))
    top = sheet.head(
        0,
        "The right assumption saves examples",
        f"means over n = {_seeds(tasks)} seeds, bars from the lowest to the highest; full: intact, "
        "hollow: structure destroyed",
        run,
    )
    for i, (task, curves) in enumerate(tasks.items()):
        plot = sheet.plot(0.7 + i * (_WIDE + _GAP), top + 0.25, _WIDE, _HIGH)
        for place, model in enumerate(curves.models):
            shift = 1.03 ** (place - len(curves.models) / 2)
            for version, style in ((INTACT, "-"), (DESTROYED, ":")):
                rows = curves.found[version, model]
                mean = rows.mean(axis=1)
                reach = np.abs(np.stack([rows.min(axis=1), rows.max(axis=1)]) - mean)
                plot.errorbar(
                    np.array(curves.sizes[-len(rows) :]) * shift,
                    mean,
                    reach,
                    linestyle=style,
                    linewidth=1.2,
                    color=COLOURS[model],
                    marker=_MARKERS[model],
                    markersize=4,
                    markerfacecolor=COLOURS[model] if version == INTACT else "white",
                )
        bare(plot)
        plot.set_xscale("log")
        plot.set_xticks(curves.sizes, [f"{size:,}" for size in curves.sizes])
        plot.set_xticks([], minor=True)
        plot.set_xlabel("training examples", fontsize=TEXT)
        plot.set_title(f"{task}: {_SAID[task]}", fontsize=TEXT, loc="left")
        if i == 0:
            plot.set_ylabel("test accuracy in %", fontsize=TEXT)
        legend_below(plot, [_handle(m) for m in curves.models], 0.55, columns=2)
    return sheet.finish()


def _handle(model: str) -> Line2D:
    return Line2D([], [], color=COLOURS[model], marker=_MARKERS[model], markersize=4, label=model)


def _streams(streams: Streams, run: str) -> Picture:
    sheet = Sheet(0.9 + 2 * (_WIDE + 1.0))
    top = sheet.head(
        0,
        "What one more token takes",
        "counted, one sequence: an LSTM's state against a transformer's keys and values of all "
        "tokens so far",
        run,
    )
    panels = (("bytes remembered", streams.memory), ("operations", streams.flops))
    for i, (what, found) in enumerate(panels):
        plot = sheet.plot(0.9 + i * (_WIDE + 1.0), top + 0.1, _WIDE, _HIGH)
        for name, values in found.items():
            plot.loglog(streams.lengths, values, color=COLOURS[name], marker=_MARKERS[name],
                        markersize=4, label=name)  # fmt: skip
        bare(plot)
        plot.set_xlabel("tokens read so far", fontsize=TEXT)
        plot.set_ylabel(what, fontsize=TEXT)
        plot.grid(color="0.92", linewidth=0.8)
        plot.set_ylim(bottom=min(map(min, found.values())) / 2)
    legend_below(plot, [_handle(name) for name in streams.memory], 0.55, columns=2)
    return sheet.finish()
