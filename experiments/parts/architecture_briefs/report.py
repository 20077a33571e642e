"""What is shown of the briefs: a table of each, and one figure of all."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from judged import Judged
from minima.claims.claims_figure import claims_figure
from minima.record.figure_style import (
    BLUE,
    GREY,
    NUMBERS,
    TEXT,
    VERMILLION,
    Picture,
    Sheet,
    bare,
    legend_below,
)
from minima.record.tables import Table, Value
from parts.architecture_briefs.brief import MARGIN, Answer, Scored

COLUMNS = (
    "candidate",
    "score",
    "score_low",
    "score_high",
    "learning_rate",
    "parameters",
    "operations_per_prediction",
    "recommended",
)
_ROW, _LEFT, _WIDE = 0.24, 2.5, 4.2  # inches


def table(answer: Answer) -> Table:
    """Scores of a brief's candidates, simplest first, and what a prediction costs."""
    brief, rows = answer.brief, []
    for each in answer.scores.values():
        row: list[Value] = [each.name, each.mean]
        interval = each.interval
        row += [None, None] if interval is None else [interval.low, interval.high]
        row += [each.rate, each.parameters, each.operations]
        rows.append([*row, "here" if each is answer.choice else ""])
    seeds = len(answer.choice.scores)
    title = (
        f"brief {brief.letter}, {brief.key}: {brief.unit}, test set, mean of {seeds} seeds, 95 %"
    )
    rule = f"recommended: the simplest, from the top, shown to lose at most {MARGIN:g} point"
    return Table(title, COLUMNS, rows, notes=(rule,))


def pictures(answers: Sequence[Answer], ordered: Sequence[Judged], run: str) -> dict[str, Picture]:
    """Every figure, by name."""
    claims, verdicts = zip(*ordered, strict=True)
    drawn = {"briefs": briefs_figure(answers, run)}
    forest = claims_figure(verdicts, run, claims)
    return drawn if forest is None else drawn | {"claims": forest}


def briefs_figure(answers: Sequence[Answer], run: str) -> Picture:
    """Scores of all candidates of all briefs: every seed, mean and interval."""
    sheet = Sheet(_LEFT + _WIDE + 0.2)
    seeds = len(answers[0].choice.scores)
    about = (
        f"test scores of n = {seeds} seed{'s' * (seeds > 1)}: a dot each, mean and 95 % interval; "
        f"recommended is the simplest (from the top) shown to lose at most {MARGIN:g} point on the "
        "best"
    )
    top = sheet.head(0, "Three briefs, and what to use", about, run)
    for i, answer in enumerate(answers):
        high = _ROW * len(answer.scores)
        plot = sheet.plot(_LEFT, top + 0.2, _WIDE, high)
        _panel(plot, answer)
        top += 0.2 + high + 0.6
        if i + 1 == len(answers):
            legend_below(plot, _legend(), 0.5, 3)
    return sheet.finish()


def _panel(plot: Axes, answer: Answer) -> None:
    bare(plot)
    brief = answer.brief
    plot.set_title(f"{brief.letter}: {brief.key}", fontsize=TEXT, weight="bold", loc="left")
    for row, each in enumerate(answer.scores.values()):
        colour = _colour(each, answer)
        plot.plot(each.scores, [row] * len(each.scores), ".", color=colour, alpha=0.4, markersize=4)
        if each.interval is not None:
            plot.hlines(row, each.interval.low, each.interval.high, colour, linewidth=1.8)
        plot.plot(each.mean, row, "o", color=colour, markersize=5)
    plot.set_yticks(range(len(answer.scores)), list(answer.scores), fontsize=NUMBERS)
    plot.set_ylim(len(answer.scores) - 0.5, -0.5)
    plot.grid(axis="x", color="0.92", linewidth=0.8)
    plot.set_xlabel(brief.unit, fontsize=TEXT)


def _colour(each: Scored, answer: Answer) -> str:
    if each is answer.choice:
        return VERMILLION
    return GREY if each.name in answer.brief.excluded else BLUE


def _legend() -> list[Line2D]:
    kinds = ((VERMILLION, "recommended"), (BLUE, "candidate"), (GREY, "for comparison"))
    return [Line2D([], [], color=c, marker="o", markersize=5, label=name) for c, name in kinds]
