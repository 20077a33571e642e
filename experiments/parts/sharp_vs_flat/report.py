"""What sharp_vs_flat says at its end: arms, ratios in every gauge, the split, causes, verdicts."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from judged import Judged, failures_first, spell, verdict_lines
from minima.claims.choosing import UndecidedError
from minima.claims.claim import FAIL, FAILURES_FIRST, PASS
from minima.claims.evidence import Floats
from minima.claims.two_level import crossed_interval
from minima.landscape.forms import GaugeReport
from minima.statistics.intervals import Interval
from parts.sharp_vs_flat.arms import Minima
from parts.sharp_vs_flat.association import associate
from parts.sharp_vs_flat.claims import (
    EQUAL,
    PREDICTS,
    RANDOM,
    TUNED,
    accuracy_interval,
    before,
    ratio_interval,
)
from parts.sharp_vs_flat.config import SharpConfig
from parts.sharp_vs_flat.findings import Findings
from parts.sharp_vs_flat.panels import CANONICAL, COUNTERPARTS, SHARPNESS, spelled
from parts.sharp_vs_flat.split import PARTS

_COLUMNS = ("lambda_max", "trace", "adaptive_sharpness", "keskar_sharpness", "distance")
_NAME, _CELL = 32, 40  # columns of a table


def foreseen(config: SharpConfig) -> str:
    """What is trained beside the plane, before anything is."""
    arms, controls = config.arms, config.controls
    return (
        f"beside     SAM and ASAM at {len(arms.rhos)} and {len(arms.asam_rhos)} radii; label noise "
        f"of {100 * controls.noise:g} %; random labels; 5 switches halfway; each a run of its own"
    )


def lines(found: Findings, judged: Sequence[Judged], attack: GaugeReport | None) -> Iterator[str]:
    """The whole report."""
    verdicts = {claim.id: verdict.verdict for claim, verdict in judged}
    yield from _arm_lines(found)
    for about, key in ((EQUAL, "large"), (TUNED, "tuned")):
        yield from _ratio_lines(about, found.main[key], found.main["small"], verdicts)
    yield from _split_lines(found)
    yield from _attack_lines(attack)
    if found.random is not None and found.true is not None:
        yield from _ratio_lines(RANDOM, found.random, found.true, verdicts)
    yield from _cause_lines(found)
    yield from _association_lines(found, verdicts)
    yield ""
    yield from conclusions(found, verdicts)
    yield ""
    yield from _verdict_lines(judged)
    for note in found.arms.notes:
        yield f"note: {note}"


def _arm_lines(found: Findings) -> Iterator[str]:
    first = found.main["small"]
    seeds, tests = first.hits.shape
    yield (
        f"minima of {seeds} reporting seeds: test accuracy in % on {tests:,} tests with its 95 % "
        "interval, medians of the rest"
    )
    heads = ("test accuracy", "train loss", "λmax", "trace", "adaptive", "Keskar", "distance")
    yield f"  {'':<68}{_row(*heads)}"
    beside = [m for m in (found.noisy, found.noisy_sam) if m is not None]
    after = [minima for _, minima in found.switched.values()]
    for minima in (*found.main.values(), *after, *beside):
        cells = [spell(crossed_interval(minima.hits), digits=1)]
        cells.append(_number(minima.arm.final("train_loss")))
        cells += [_number(minima.values[n]) if n in minima.values else "" for n in _COLUMNS]
        yield f"  {minima.name + ': ' + minima.arm.about:<68}{_row(*cells)}".rstrip()


def _row(*cells: str) -> str:
    return "".join(f"{cell:>{20 if i == 0 else 11}}" for i, cell in enumerate(cells))


def _ratio_lines(
    about: str, first: Minima, second: Minima, verdicts: Mapping[str, str]
) -> Iterator[str]:
    """Ratios of all measures in all forms, each with the verdict on its being above 1."""
    losses = [f"{np.nanmedian(m.values['loss']):.3g}" for m in (first, second)]
    yield ""
    yield (
        f"{about}: {first.name} over {second.name}, geometric means over seeds, 95 % intervals, "
        f"verdicts on its being sharper (training losses {losses[0]} and {losses[1]})"
    )
    yield _table_row("", "as it is", "canonical gauge", "form that no gauge changes")
    for name, counterpart in COUNTERPARTS.items():
        cells = []
        for form in (name, name + CANONICAL, counterpart):
            text = _times(ratio_interval(first, second, form))
            cells.append(f"{text} {verdicts.get(f'{about}: {form}', '')}".rstrip())
        yield _table_row(spelled(name), *cells)


def _table_row(name: str, *cells: str) -> str:
    return (f"  {name:<{_NAME}}" + "".join(f"{cell:<{_CELL}}" for cell in cells)).rstrip()


def _split_lines(found: Findings) -> Iterator[str]:
    yield ""
    yield (
        "the same ratios in doublings = confidence (gone at one training loss, read-out scaled) + "
        "weight norm (gone in the canonical gauge) + shape; norm in brackets if it goes first"
    )
    columns = ("total", *PARTS, "norm first")
    yield f"  {'':<28}" + "".join(f"{part:>24}" for part in (*columns[:-1], "(norm first)"))
    for about, key in ((EQUAL, "large"), (TUNED, "tuned")):
        parts = found.parts[key]
        if parts is None:
            yield f"  {about:<28}  not split: a seed failed, or networks have running statistics"
            continue
        for name, spread in parts.items():
            cells = "".join(f"{spell(spread[part]):>24}" for part in columns)
            yield f"  {about + ', ' + spelled(name):<28}{cells}"


def _attack_lines(attack: GaugeReport | None) -> Iterator[str]:
    yield ""
    yield (
        "can a rescaling that changes no output turn the order of large and small batch around? "
        "(same rate, one seed; ratios)"
    )
    if attack is None:
        yield "  a seed failed"
        return
    for line in str(attack).splitlines():
        yield f"  {line}"


def _cause_lines(found: Findings) -> Iterator[str]:
    if not found.switched:
        return
    yield ""
    yield "causes: what a switch halfway does, beside going on; ratios of sharpness, points"
    heads = ("λmax", "λmax relative to weights", "adaptive worst case", "test accuracy")
    yield f"  {'':<44}" + "".join(f"{head:>26}" for head in heads)
    for trunk, after in found.switched.values():
        cells = [
            _times(ratio_interval(after, trunk, name))
            for name in ("lambda_max", "relative_lambda_max", "adaptive_sharpness")
        ]
        cells.append(spell(accuracy_interval(after, trunk), "+"))
        yield f"  {after.name:<44}" + "".join(f"{cell:>26}" for cell in cells)


def _association_lines(found: Findings, verdicts: Mapping[str, str]) -> Iterator[str]:
    yield ""
    yield (
        "does it go with the gap (training less test accuracy)? over "
        f"{len(found.plane)} batch sizes and rates, by seed, 95 % over seeds"
    )
    yield (
        f"  {'':<{_NAME}}{'Kendall τ':<36}{'granulated Ψ':<22}"
        f"{'partial: batch, rate, loss':<28}worst sign error"
    )
    for name in (*SHARPNESS, "loss"):
        try:
            is_ = associate(found.plane, name)
        except UndecidedError as error:
            yield f"  {spelled(name):<{_NAME}}needs {error}"
            continue
        partial = "none" if is_.partial is None else spell(is_.partial, "+")
        yield (
            f"  {spelled(name):<{_NAME}}{spell(is_.tau, '+'):<22}"
            f"{verdicts.get(f'{PREDICTS}: {name}', ''):<14}{spell(is_.psi, '+'):<22}{partial:<28}"
            f"{is_.worst:.2f}"
        )


def conclusions(found: Findings, verdicts: Mapping[str, str]) -> Iterator[str]:
    """In words, and no further than intervals and gauges carry."""
    for about in (EQUAL, TUNED):
        yield f"{about}: {_compared(about, verdicts, 'the large batch')}"
    if found.random is not None:
        yield f"{RANDOM}: {_compared(RANDOM, verdicts, 'the minimum they lead to')}"
    if found.switched:
        flatter = [
            name for name in found.switched if verdicts[f"{before(name)}: lambda_max"] == PASS
        ]
        accuracy = [verdicts[f"{name}: accuracy"] for name in flatter]
        yield (
            f"causes: {len(flatter)} of {len(found.switched)} switches made λmax smaller for "
            f"certain; of these {accuracy.count(PASS)} tested better for certain and "
            f"{accuracy.count(FAIL)} for certain not"
        )


def _compared(about: str, verdicts: Mapping[str, str], subject: str) -> str:
    """Whether it is sharper, by which measures."""
    names = [name for name in SHARPNESS if f"{about}: {name}" in verdicts]
    groups: dict[str, list[str]] = {"yes by": [], "no by": [], "undecided by": []}
    for name in names:
        verdict = verdicts[f"{about}: {name}"]
        group = {PASS: "yes by", FAIL: "no by"}.get(verdict, "undecided by")
        groups[group].append(spelled(name))
    if len(groups["yes by"]) == len(names):
        return f"{subject} is sharper by every measure, in every gauge"
    if len(groups["no by"]) == len(names):
        return f"{subject} is not sharper by any measure, in any gauge"
    parts = [f"{words} {', '.join(group)}" for words, group in groups.items() if group]
    return f"whether {subject} is sharper depends on the measure: {'; '.join(parts)}"


def _verdict_lines(judged: Sequence[Judged]) -> Iterator[str]:
    """Those on ratios stand in the tables; the others in full."""
    tables = tuple(
        f"{about}: {name}" for about in (EQUAL, TUNED, RANDOM, PREDICTS) for name in SHARPNESS
    )
    listed = [each for each in judged if each[0].id in tables]
    counts = ", ".join(
        f"{n} {name}"
        for name in FAILURES_FIRST
        if (n := sum(verdict.verdict == name for _, verdict in listed))
    )
    yield f"claims in the tables above: {counts}"
    yield f"({len(judged)} claims, each at 95 %: nothing is corrected for their number)"
    others = [each for each in judged if each[0].id not in tables]
    yield from verdict_lines(failures_first(others))


def _times(interval: Interval | None) -> str:
    """An interval of log2 as factors."""
    if interval is None:
        return "none: a seed has none"
    estimate, low, high = (2**v for v in (interval.estimate, interval.low, interval.high))
    return f"× {estimate:.3g} [{low:.3g}, {high:.3g}]"


def _number(values: Floats) -> str:
    return f"{np.nanmedian(values):.3g}" if np.isfinite(values).any() else "none"
