"""What is claimed of features and ingredients, under rules and tolerances fixed before the data.

Over draws: one number for each random draw of training examples, and networks of its own on it;
Student's interval at 95 %. Shares: exact limits over the systems that were built.
"""

from collections.abc import Mapping, Sequence

from judged import Judged
from minima.claims.claim import AT_MOST, SIGN
from minima.claims.evidence import Floats
from minima.claims.seeded import Judge
from parts.learned_features.config import DEEP, ENGINEERED, NETWORK, PIXELS
from parts.learned_features.readings import Answers, Probes, healthy

AHEAD, LEAST_AHEAD = 2.0, 0.5  # points between two accuracies: the claimed size, and the least
SMALL = 200  # training examples up to which engineered features are claimed to be better
WRONG = 10.0  # % of systems whose broken ingredient is misnamed, at most
CHANCE = 75.0  # % misnamed by guessing among four answers

_POINTS = "points of test accuracy"
_LEARNED = "the course, lesson 1: features are learned, not engineered"
_PROBED = "Alain & Bengio 2017, arXiv:1610.01644"
_INGREDIENTS = "the course, lesson 1: data, architecture, objective"


def judge(
    sizes: Sequence[int],
    found: Mapping[str, Floats],
    probes: Mapping[str, Probes],
    answers: Sequence[Answers],
) -> list[Judged]:
    """Every claim that the runs can speak to."""
    of = Judge(
        "learned_features",
        _LEARNED,
        "the same updates for all; rates chosen on other draws; one number a draw",
    )
    return [
        *_by_size(of, sizes, found),
        *_by_layer(of, probes[NETWORK], probes[NETWORK].model),
        *_by_layer(of, probes[DEEP], f"deep {probes[DEEP].model}"),
        *_named(of, answers),
    ]


def _by_size(of: Judge, sizes: Sequence[int], found: Mapping[str, Floats]) -> list[Judged]:
    network, engineered, pixels = (found[name] for name in (NETWORK, ENGINEERED, PIXELS))
    ahead = (SIGN, AHEAD, LEAST_AHEAD, _POINTS)
    note = f"with {sizes[-1]:,} examples all draws are nearly the same ones: mostly their order"
    judged = [
        of.over_seeds(
            f"learned features win at {sizes[-1]:,}",
            "with many examples a network on pixels is ahead of a linear model on HOG",
            ahead,
            network[-1] - engineered[-1],
            notes=(note,),
        ),
        of.over_seeds(
            f"engineered features beat pixels at {sizes[-1]:,}",
            "the same linear model does better on HOG than on the pixels",
            ahead,
            engineered[-1] - pixels[-1],
        ),
    ]
    small = [
        of.over_seeds(
            f"engineered features win at {size:,}",
            "with few examples a linear model on HOG is ahead of a network on pixels",
            ahead,
            engineered[i] - network[i],
        )
        for i, size in enumerate(sizes)
        if size <= SMALL
    ]
    return judged + small


def _by_layer(of: Judge, probes: Probes, name: str) -> list[Judged]:
    first, last = probes.trained[:, 0], probes.trained[:, -1]
    rises = (SIGN, AHEAD, LEAST_AHEAD, _POINTS)
    falls = (SIGN, -AHEAD, LEAST_AHEAD, _POINTS)
    how = "ridge regression on each hidden layer, the same examples for all"
    return [
        of.over_seeds(
            f"{name}: trained layers rise",
            "after training the last hidden layer is easier to read than the first",
            rises,
            last - first,
            source=_PROBED,
            protocol=how,
        ),
        of.over_seeds(
            f"{name}: untrained layers fall",
            "before training the last hidden layer is harder to read than the first",
            falls,
            probes.initial[:, -1] - probes.initial[:, 0],
            source=_PROBED,
            protocol=how,
        ),
        of.over_seeds(
            f"{name}: untrained below pixels",
            "before training no hidden layer is easier to read than the pixels: the best of them",
            falls,
            probes.initial.max(axis=1) - probes.pixels,
            protocol=how,
        ),
        of.over_seeds(
            f"{name}: trained above HOG",
            "after training the last hidden layer is easier to read than HOG",
            rises,
            last - probes.engineered,
            protocol=how,
        ),
    ]


def _named(of: Judge, answers: Sequence[Answers]) -> list[Judged]:
    at_most = (AT_MOST, 0.0, WRONG, "% misnamed")
    settled = [each for each in answers if not each.fault.new]
    new = [each for each in answers if each.fault.new]
    groups = [
        ("kinds of fault that the rules know", "curves tell which ingredient broke", settled),
        ("kinds of fault that the rules never saw", "the rules hold for other faults", new),
        ("no false alarm", "a system in order is not called broken", healthy(answers)),
    ]
    judged = [_share(of, id, sentence, at_most, group) for id, sentence, group in groups if group]
    better = (AT_MOST, 0.0, CHANCE, "% misnamed")
    sentence = "curves tell more about it than guessing among four answers"
    return [*judged, _share(of, "better than guessing", sentence, better, answers)]


def _share(
    of: Judge,
    id: str,
    sentence: str,
    fixed: tuple[str, float, float, str],
    group: Sequence[Answers],
) -> Judged:
    trials = sum(len(each.named) for each in group)
    wrong = trials - sum(each.right for each in group)
    blind = [each.fault.name for each in group if not each.right]
    notes = ["limits are over seeds of these kinds; a kind is told nearly always or nearly never"]
    if group and all(each.fault.new for each in group):
        notes.append("these kinds are relatives of known ones: other kinds may well fool the rules")
    if blind:
        notes.append(f"never told: {', '.join(blind)}")
    return of.share(
        id,
        sentence,
        fixed,
        wrong,
        trials,
        source=_INGREDIENTS,
        protocol="rules of claims/ingredients.py, settled on other seeds",
        notes=notes,
    )
