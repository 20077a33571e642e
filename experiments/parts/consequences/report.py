"""What is said of consequences: tables, verdicts, and the answer to the question."""

from collections.abc import Iterator, Sequence

import numpy as np

from judged import Judged
from lesson import Findings
from minima.claims.claims_figure import claims_figure
from minima.claims.evidence import Floats
from minima.record.tables import Table, Value
from minima.statistics.intervals import t_interval
from parts.consequences.claims import doublings
from parts.consequences.config import AGAIN, KINDS, OTHERS, SMALL, WORLDS
from parts.consequences.effects import Effect, finite_mean
from parts.consequences.figures import forest
from parts.consequences.measured import ENDED, MATCHED, STATES, WHEN, Found
from parts.consequences.outcomes import (
    BAITED_ERROR,
    CONSEQUENCES,
    ECE,
    ECE_BAND,
    ECE_NULL,
    ERROR,
    INSIDE,
    NOISY_ERROR,
    UNITS,
)
from parts.consequences.panel import LAMBDA_MAX, LOSS, NORM, SHARPNESS


def findings(
    found: Found, judged: Sequence[Judged], run: str, notes: Sequence[str] = ()
) -> Findings:
    """All there is to say; `notes` are on the choice of rates."""
    tables = {
        "minima": _minima(found),
        "matching": _matching(found),
        "effects": _effects(found),
        "calibration": _calibration(found),
    }
    figures = {"consequences": forest(found, run)}
    claims, verdicts = zip(*judged, strict=True)
    if (picture := claims_figure(verdicts, run, claims)) is not None:
        figures["claims"] = picture
    facts = {
        "matched_accuracy": found.targets,
        "rates": found.rates,
        "differ": {
            state: [[e.kind, e.consequence] for e in found.effects[state] if _matters(e)]
            for state in STATES
        },
    }
    return Findings(tables, judged, figures, facts, [*answers(found), *notes, *_notes(found)])


def answers(found: Found) -> Iterator[str]:
    """Sharp or flat, and does it matter: a line for each kind."""
    yield "Sharp or flat, and does it matter? Against the small batch, at one clean accuracy:"
    for kind in OTHERS:
        ratios = doublings(found, MATCHED, kind, LAMBDA_MAX)
        sharp = f"λmax × {2 ** ratios.mean():.2g}" if len(ratios) else "λmax unknown"
        mine = [
            e
            for e in found.effects[MATCHED]
            # Errors on clean examples are what is matched: what is left of them is no consequence.
            if e.kind == kind and e.consequence not in (ERROR, NOISY_ERROR)
        ]
        better = [e.consequence for e in mine if e.flagged and e.difference.estimate < 0]
        worse = [e.consequence for e in mine if e.flagged and e.difference.estimate > 0]
        parts = [f"{word}: {', '.join(each)}" for word, each in _words(better, worse) if each]
        told = "; ".join(parts) or "no consequence differs"
        yield f"  {kind:<20} {sharp:<14} {told} (of {len(mine)}, after Holm's correction)"


def _words(better: list[str], worse: list[str]) -> tuple[tuple[str, list[str]], ...]:
    return ("better", better), ("worse", worse)


def _matters(effect: Effect) -> bool:
    return effect.flagged and effect.kind != AGAIN


def _notes(found: Found) -> Iterator[str]:
    for name, count in found.unmatched.items():
        yield (
            f"{count} runs have the matched accuracy nowhere between kept states, and are left "
            f"out there with their pairs: {name}"
        )
    for name, count in found.failed.items():
        yield f"{count} runs failed and are left out with their pairs: {name}"


def _minima(found: Found) -> Table:
    names = (LOSS, NORM, *SHARPNESS)
    rows: list[list[Value]] = []
    for state in STATES:
        for kind in KINDS:
            cells = [finite_mean(found.of(state, kind, name)) for name in (ERROR, WHEN, *names)]
            rate = found.rates.get(SMALL if kind == AGAIN else kind, float("nan"))
            rows.append([state, kind, rate, *cells])
    return Table(
        f"Kinds of minima: means over {found.seeds} seeds",
        ("state", "kind", "rate", "clean_error_percent", "share_of_training", *names),
        rows,
        notes=(
            f"error on {found.reporting:,} examples that match nothing; adaptive and average "
            "sharpness do not change when layers are rescaled",
        ),
    )


def _matching(found: Found) -> Table:
    """What is left of accuracy, by world."""
    rows: list[list[Value]] = []
    errors = dict(zip(WORLDS, (ERROR, BAITED_ERROR, NOISY_ERROR), strict=True))
    for world in found.targets:
        for kind in (*OTHERS, AGAIN):
            row: list[Value] = [world, found.targets[world], kind]
            for state in (MATCHED, ENDED):
                left = found.of(state, kind, errors[world]) - found.of(state, SMALL, errors[world])
                row += _interval(left)
            rows.append(row)
    limits = ("", "_low", "_high")
    columns = [f"{state}_points{limit}" for state in ("left", "end") for limit in limits]
    return Table(
        "Clean error less the small batch's: left after matching, and at the end; 95 % t intervals "
        f"over {found.seeds} seeds",
        ("data", "matched_accuracy_percent", "kind", *columns),
        rows,
        notes=("matched on other test examples than these",),
    )


def _effects(found: Found) -> Table:
    rows: list[list[Value]] = []
    for state in STATES:
        for each in found.effects[state]:
            one, base = each.difference, found.of(state, SMALL, each.consequence)
            rows.append(
                [
                    each.consequence,
                    UNITS[each.consequence],
                    each.kind,
                    state,
                    finite_mean(base),
                    *one.limits().values(),
                    one.n,
                    each.p,
                    each.adjusted,
                    each.flagged,
                ]
            )
    rows.sort(key=lambda row: CONSEQUENCES.index(str(row[0])))
    columns = ("consequence", "unit", "kind", "state", "small_batch", "difference", "low", "high")
    return Table(
        "Consequences, all the better the lower: differences from the small batch, paired by seed, "
        f"95 % t intervals over {found.seeds} seeds",
        (*columns, "pairs", "p", "p_holm", "flagged"),
        rows,
        notes=(
            "flagged: p by Holm's correction over all kinds and consequences of a state is at most "
            "0.05; the A/A row is a family of its own, not corrected",
        ),
    )


def _calibration(found: Found) -> Table:
    rows: list[list[Value]] = []
    for state in STATES:
        for kind in KINDS:
            names = (ECE, ECE_NULL, ECE_BAND)
            cells = [finite_mean(found.of(state, kind, name)) for name in names]
            inside = 100 * finite_mean(found.of(state, kind, INSIDE))
            rows.append([state, kind, *cells, inside])
    return Table(
        "Calibration error beside that of perfectly calibrated models of the same confidences",
        (
            "state",
            "kind",
            "ECE_points",
            "calibrated_mean",
            "calibrated_upper_limit",
            "inside_percent",
        ),
        rows,
    )


def _interval(values: Floats) -> list[Value]:
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return [None, None, None]
    return list(t_interval(finite).limits().values())
