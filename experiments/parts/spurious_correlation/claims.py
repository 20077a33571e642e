"""What is claimed of shortcuts; rules, predictions and tolerances were fixed before any run."""

from collections.abc import Iterator

import numpy as np

from minima.claims.claim import AT_MOST, SIGN, WITHIN
from minima.claims.seeded import Judge, Judged
from parts.spurious_correlation.config import (
    COLOURS,
    DRO,
    ERM,
    GREY,
    IRM,
    LAST,
    REMEDIES,
    REWEIGHTED,
    VREX,
)
from parts.spurious_correlation.measured import BY_TEST, BY_VALIDATION, Measured

# Rule, prediction and tolerance; for SIGN the claimed size and the smallest effect of interest.
BELOW_CHANCE = (AT_MOST, 0.0, 25.0, "% right")
INVARIANT = (AT_MOST, 0.0, 40.0, "% wrong")
ORACLE = (WITHIN, 0.0, 1.0, "points from 73 %")
HELD_OUT = (SIGN, 10.0, 2.0, "points")
NO_HELP = (AT_MOST, 0.0, 50.0, "% right")
HIDES = (SIGN, 50.0, 10.0, "points")
LEANS = (SIGN, 20.0, 5.0, "points")
STRESS = (SIGN, 5.0, 1.0, "points")
HELPS = (SIGN, 10.0, 2.0, "points")
NEEDS_L2 = (SIGN, 5.0, 1.0, "points")
MISSED = (AT_MOST, 0.0, 25.0, "% missed")

_IRM = "Arjovsky et al. 2019 (arXiv:1907.02893); Krueger et al. 2021 (arXiv:2003.00688)"
_DRO = "Sagawa et al. 2020 (arXiv:1911.08731)"
_SELECTION = "Gulrajani & Lopez-Paz 2021 (arXiv:2007.01434)"
_DFR = "Kirichenko et al. 2023 (arXiv:2204.02937)"
_COURSE = "the course, lesson 4"
_PROTOCOL = (
    "two environments, a quarter of the labels flipped, colour against the label at 20 and 10 %, "
    "90 % in the test; accuracy over all draws of the test's labels and colours"
)
_CUES = (
    "the cue goes with 95 % of one label, 5 % of the other, in training and test alike; paired by "
    "seed"
)
_PEEKS = "as published, strengths are chosen by the accuracy on the reversed test, on other seeds"
# The first run showed that the measure was not of what is claimed.
_RESTATED = (
    "restated after the first run, which compared gains over ERM and passed where ERM alone fell; "
    "prediction and tolerance are as they were"
)
_KNOWS = "it is told the colour of every training image, which IRM and V-REx are not"


def judge(found: Measured, small: bool) -> list[Judged]:
    """Every claim; `small` says that these are the 5,000 digits, not all of MNIST."""
    judge = Judge("spurious_correlation", _IRM, _PROTOCOL)
    judged = [*_colours(judge, found, small), *_known(judge, found)]
    for cue in found.cues:
        if cue != COLOURS:
            judged += _shared(judge, found, cue)
    return [*judged, _finder(judge, found)]


def _colours(judge: Judge, found: Measured, small: bool) -> Iterator[Judged]:
    erm, grey = found.of(COLOURS, ERM), found.of(COLOURS, GREY)
    published = [found.outcomes[found.chosen[method, BY_TEST]] for method in (IRM, VREX)]
    honest = [found.outcomes[found.chosen[method, BY_VALIDATION]] for method in (IRM, VREX)]
    best = max(published, key=lambda each: each.reversed.mean())
    said = [f"{e.method} at {e.strength:g}: {e.reversed.mean():.1f} %" for e in published]
    controls = (
        f"controls: the grey oracle {grey.reversed.mean():.1f} %, ERM {erm.reversed.mean():.1f} %, "
        f"{', '.join(said)}; {_PEEKS}"
    )
    digits = "5,000 digits at 8×8 pixels, gone through again with labels and colours drawn anew"
    notes = (f"on {digits}, where the paper has 60,000 at 14×14",) if small else ()
    yield judge.over_seeds(
        "colours-hidden",
        "A test set that shares the colours hides what ERM has learned: it is much worse where "
        "they are reversed",
        HIDES,
        erm.shared - erm.reversed,
        notes=notes,
    )
    yield judge.over_seeds(
        "colours-erm",
        "Where colours are reversed, ERM is right less than a quarter of the time, below chance",
        BELOW_CHANCE,
        erm.reversed,
        notes=notes,
    )
    yield judge.over_seeds(
        "colours-invariant",
        "IRM or V-REx, which know environments and no colours, are right on 60 % or more",
        INVARIANT,
        100 - best.reversed,
        notes=(controls, *notes),
    )
    yield judge.over_seeds(
        "colours-oracle",
        "A network that can't see colours is right on 73 %: the others have that to reach",
        ORACLE,
        grey.reversed - 73,
        notes=notes,
    )
    for method, peeking, blind in zip((IRM, VREX), published, honest, strict=True):
        yield judge.over_seeds(
            f"selection-{_key(method)}",
            f"{method} owes its accuracy to a choice by the reversed test: one by validation, "
            "which shares the colours, loses it",
            HELD_OUT,
            peeking.reversed - blind.reversed,
            source=_SELECTION,
            notes=(
                f"strength {peeking.strength:g} chosen by the reversed test, {blind.strength:g} by "
                f"validation: {peeking.reversed.mean():.1f} and {blind.reversed.mean():.1f} %",
            ),
        )
    yield judge.over_seeds(
        "colours-dro",
        "Group DRO over the two environments can't leave their mixtures: it stays below half",
        NO_HELP,
        found.of(COLOURS, DRO).reversed,
        source=f"{_DRO}; Krueger et al. 2021 (arXiv:2003.00688)",
    )


def _known(judge: Judge, found: Measured) -> Iterator[Judged]:
    yield judge.over_seeds(
        "colours-reweighted",
        "Weights that make (label, colour) groups count the same are right on 60 % or more",
        INVARIANT,
        100 - found.of(COLOURS, REWEIGHTED).reversed,
        source=_DRO,
        notes=(_KNOWS,),
    )
    yield judge.over_seeds(
        "colours-last-layer",
        "ERM's last layer, trained on with such weights, is better than ERM",
        HELPS,
        found.of(COLOURS, LAST).reversed - found.of(COLOURS, ERM).reversed,
        source=_DFR,
        notes=(_KNOWS, "on the training set itself, not on held-out examples"),
    )


def _shared(judge: Judge, found: Measured, cue: str) -> Iterator[Judged]:
    erms = [each for each in found.outcomes if (each.stage.cue, each.method) == (cue, ERM)]
    weak, strong = erms[0], erms[-1]
    what, l2 = cue.removesuffix("s"), strong.setting
    yield judge.over_seeds(
        f"{cue}-lean",
        f"ERM follows the {what}: its accuracy depends on whether that goes with the label",
        LEANS,
        weak.lean,
        source=_COURSE,
        protocol=_CUES,
    )
    yield judge.over_seeds(
        f"{cue}-stress",
        f"A stress set without the {what} shows it: ERM is worse there than on its test set",
        STRESS,
        weak.shared - weak.without,
        source=_COURSE,
        protocol=_CUES,
    )
    sources = {REWEIGHTED: _DRO, DRO: _DRO, LAST: _DFR}
    held = (
        f"without the {what}, ERM is right on {strong.without.mean():.1f} % at {l2}: a last layer "
        "has no more of the content than that to go by"
    )
    for method in REMEDIES:
        yield judge.over_seeds(
            f"{cue}-{_key(method)}",
            f"{method[0].upper() + method[1:]} lifts the worst of four groups, at {l2}",
            HELPS,
            found.of(cue, method, l2).worst - strong.worst,
            source=sources[method],
            protocol=_CUES,
            notes=(held,) if method == LAST else (),
        )
    with_l2, bare = (found.of(cue, DRO, erm.setting).worst for erm in (strong, weak))
    yield judge.over_seeds(
        f"{cue}-dro-l2",
        "Group DRO needs strong L2: its worst group is better with it than without",
        NEEDS_L2,
        with_l2 - bare,
        source=_DRO,
        protocol=_CUES,
        notes=(_RESTATED,),
    )


def _finder(judge: Judge, found: Measured) -> Judged:
    trials = [
        found.of(cue, ERM).found(seed)[0].name == cue.removesuffix("s")
        for cue in found.cues
        for seed in range(len(found.seeds))
    ]
    return judge.share(
        "finder",
        "Of three candidates the finder names the planted one first, for every network of ERM",
        MISSED,
        int(np.sum(np.logical_not(trials))),
        len(trials),
        source=_COURSE,
        protocol="one drawn test set that shares the cue; decoys: much ink or many words, a coin",
    )


def _key(method: str) -> str:
    return method.lower().replace(" ", "-")
