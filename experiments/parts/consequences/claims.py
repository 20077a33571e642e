"""What is claimed of consequences; rules, predictions and tolerances were fixed before any run."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from minima.claims.association import kendall_tau
from minima.claims.choosing import UndecidedError
from minima.claims.claim import NUMBER, SIGN, WITHIN
from minima.claims.evidence import Floats
from minima.claims.seeded import Fixed, Judge, Judged
from parts.consequences.config import AVERAGED, LARGE, OTHERS, SAM, SMALL
from parts.consequences.effects import finite_mean, paired
from parts.consequences.measured import ENDED, MATCHED, Found
from parts.consequences.outcomes import (
    BITS_NEEDED,
    CORRUPTED,
    ECE,
    ERROR,
    MEMORISED,
    NLL,
    NOISY_ERROR,
    TRANSFER,
    UNITS,
)
from parts.consequences.panel import ADAPTIVE, LAMBDA_MAX

# Rule, prediction, tolerance, unit; the smallest effect of interest is the tolerance of a sign.
SAME: Fixed = (NUMBER, 5.0, 1.0, "% flagged")
HONEST: Fixed = (WITHIN, 0.0, 0.5, "points")
SHARPER: Fixed = (SIGN, 1.0, 0.25, "doublings")
FLATTER: Fixed = (SIGN, -1.0, 0.25, "doublings")
GOES_WITH: Fixed = (SIGN, 0.5, 0.1, "(Kendall's τ)")
_SIZES = {"points": (1.0, 0.5), "nats": (0.05, 0.02), "bits": (0.5, 0.1)}

_KESKAR = "Keskar et al. 2017 (arXiv:1609.04836)"
_MDL = "Hochreiter & Schmidhuber 1997"
_FORET = "Foret et al. 2021 (arXiv:2010.01412)"
_IZMAILOV = "Izmailov et al. 2018 (arXiv:1803.05407)"
_SPRINGER = "Springer et al. 2024 (arXiv:2405.20439)"
_ANDRIUSHCHENKO = "Andriushchenko et al. 2023 (arXiv:2302.07011)"
_PROTOCOL = (
    "paired by seed with the small batch at its best rate; matched between kept states by half of "
    "the test examples, reported on the other half"
)
_IDS = {LAMBDA_MAX: "lambda-max", ADAPTIVE: "adaptive"}
_HOLM = "not after Holm's correction over all kinds and consequences"
# What is known of others than the large batch, at which state, and by whom.
_KNOWN = (
    (SAM, NOISY_ERROR, ENDED, _FORET),
    (SAM, MEMORISED, MATCHED, _FORET),
    (SAM, CORRUPTED, MATCHED, _ANDRIUSHCHENKO),
    (SAM, TRANSFER, MATCHED, _SPRINGER),
    (AVERAGED, ERROR, ENDED, _IZMAILOV),
    (AVERAGED, NLL, ENDED, _IZMAILOV),
    (AVERAGED, ECE, ENDED, _IZMAILOV),
    (AVERAGED, BITS_NEEDED, ENDED, _MDL),
)


def judge(found: Found) -> list[Judged]:
    """Every claim on what was found."""
    judge = Judge("consequences", _KESKAR, _PROTOCOL)
    return [
        _same(judge, found),
        *(_honest(judge, found, kind) for kind in OTHERS),
        *_sharpness(judge, found),
        *(
            _differs(judge, found, LARGE, name, MATCHED, +1, _MDL if name == BITS_NEEDED else "")
            for name in found.consequences
            if name not in (ERROR, NOISY_ERROR)
        ),
        *(
            _differs(judge, found, kind, name, state, -1, source)
            for kind, name, state, source in _KNOWN
            if name in found.consequences
        ),
        *(_predicts(judge, found, name) for name in (LAMBDA_MAX, ADAPTIVE)),
    ]


def _same(judge: Judge, found: Found) -> Judged:
    control = found.control
    low, high = min(control.by_consequence.values()), max(control.by_consequence.values())
    again = {
        state: sum(e.p <= 0.05 for e in found.effects[state] if e.kind not in OTHERS)
        for state in found.effects
    }
    shown = ", ".join(f"{count} {state}" for state, count in again.items())
    return judge.share(
        "a-a",
        "Two arms of one configuration, other seeds, are told apart in 5 % of comparisons",
        SAME,
        control.flagged,
        control.tests,
        source="the level of the test",
        protocol="seeds of the small batch dealt into two arms at random, again and again",
        notes=(
            f"by consequence {100 * low:.1f} to {100 * high:.1f} %",
            f"flagged of the {len(found.consequences)} consequences of the A/A row: {shown}",
        ),
    )


def _honest(judge: Judge, found: Found, kind: str) -> Judged:
    return judge.over_seeds(
        f"matched-{_slug(kind)}",
        f"Matching leaves no difference in clean error: {kind} less small batch",
        HONEST,
        paired(found.values[MATCHED], kind, ERROR),
        source="the condition of all comparisons",
    )


def _sharpness(judge: Judge, found: Found) -> Iterator[Judged]:
    asked = (
        (LARGE, SHARPER, "sharper", _KESKAR),
        (SAM, FLATTER, "flatter", _FORET),
        (AVERAGED, FLATTER, "flatter", _IZMAILOV),
    )
    for kind, fixed, word, source in asked:
        for name in (LAMBDA_MAX, ADAPTIVE):
            ended = doublings(found, ENDED, kind, name)
            yield judge.over_seeds(
                f"{word}-{_slug(kind)}-{_IDS[name]}",
                f"At one clean accuracy, {kind} is {word} than the small batch by {_spelled(name)}",
                fixed,
                doublings(found, MATCHED, kind, name),
                source=source,
                notes=(f"at the end: {finite_mean(ended):+.2f} doublings",),
            )


def doublings(found: Found, state: str, kind: str, name: str) -> Floats:
    """log2 of a sharpness over the small batch's of the same seed, of pairs that have both."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log2(found.of(state, kind, name) / found.of(state, SMALL, name))
    return ratio[np.isfinite(ratio)]


def _differs(
    judge: Judge, found: Found, kind: str, name: str, state: str, side: int, source: str
) -> Judged:
    size, least = _SIZES[UNITS[name]]
    word = "higher" if side > 0 else "lower"
    other = ENDED if state == MATCHED else MATCHED
    effect = {(e.kind, e.consequence): e for e in found.effects[state]}.get((kind, name))
    beside = finite_mean(paired(found.values[other], kind, name))
    notes = [f"{other}: {beside:+.3g} {UNITS[name]}"]
    if effect is not None:
        notes.insert(0, f"p = {effect.p:.2g}, by Holm {effect.adjusted:.2g}")
    return judge.over_seeds(
        f"{_slug(kind)}-{_slug(name)}",
        f"{state[0].upper()}{state[1:]}, {name}: {kind} is {word} than the small batch",
        (SIGN, side * size, least, UNITS[name]),
        paired(found.values[state], kind, name),
        source=source or _KESKAR,
        notes=notes,
        caveat="" if effect is None or effect.flagged else _HOLM,
    )


def _predicts(judge: Judge, found: Found, name: str) -> Judged:
    each = {c: taus(found, name, c) for c in found.consequences if c not in (ERROR, NOISY_ERROR)}
    known = {c: values for c, values in each.items() if np.isfinite(values).any()}
    shown = ", ".join(f"{c} {finite_mean(values):+.2f}" for c, values in known.items())

    def mean(each: dict[str, Floats]) -> Floats:
        table = np.array(list(each.values()))
        kept = table[:, np.isfinite(table).any(axis=0)]
        if kept.shape[1] < 2:
            raise UndecidedError("2 or more seeds at which no kind fails")
        return np.asarray(np.nanmean(kept, axis=0), np.float64)

    return judge.over_seeds(
        f"predicts-{_IDS[name]}",
        f"Over kinds of minima at one clean accuracy, the sharper by {_spelled(name)} does worse",
        GOES_WITH,
        partial(mean, each),
        source=_ANDRIUSHCHENKO,
        protocol=f"{_PROTOCOL}; rank correlation over kinds, mean over consequences, by seed",
        notes=(f"by consequence: {shown}",),
    )


def taus(found: Found, name: str, consequence: str) -> Floats:
    """(seeds,) Kendall's τ of a sharpness and a consequence over kinds; NaN where one failed.

    Where all kinds are equal nothing goes with anything: 0.
    """
    kinds = (SMALL, *OTHERS)
    x, y = (np.stack([found.of(MATCHED, k, what) for k in kinds]) for what in (name, consequence))
    sound = np.asarray(np.isfinite(x).all(axis=0) & np.isfinite(y).all(axis=0))
    each = [kendall_tau(x[:, s], y[:, s]) if sound[s] else 0.0 for s in range(x.shape[1])]
    return np.where(sound, np.nan_to_num(each), np.nan)


def _spelled(name: str) -> str:
    return {LAMBDA_MAX: "λmax", ADAPTIVE: "adaptive sharpness"}[name]


def _slug(text: str) -> str:
    return text.replace(",", "").replace("_", "-").replace(" ", "-").lower()
