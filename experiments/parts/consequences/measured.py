"""Everything that is judged: consequences and sharpness of every kind, matched and at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minima.claims.evidence import Floats
from minima.runtime.errors import UserError
from minima.sweep.run import Prepared
from minima.tasks.datasets import Dataset
from parts.consequences.config import AGAIN, AS_IS, KINDS, OTHERS, SMALL, MatterConfig
from parts.consequences.effects import Control, Effect, effects, same_kind
from parts.consequences.matching import (
    Between,
    Course,
    common_target,
    courses,
    crossing,
    end_of,
    halves,
)
from parts.consequences.outcomes import CONSEQUENCES, outcomes
from parts.consequences.stages import Name

MATCHED, ENDED = "at one clean accuracy", "at the end"
STATES = (MATCHED, ENDED)
WHEN = "share of training"  # when a state is reached
SPLITS = 400  # of the A/A control, for each consequence and state

Values = dict[str, Floats]  # by name, (seeds,)


@dataclass(frozen=True)
class Found:
    """What all runs say.

    Attributes:
      values: by state and kind: consequences, sharpness and when it was, one number a seed.
      targets: clean accuracy that is matched, by world, in percent.
      effects: by state.
      control: A/A.
      failed: runs that diverged or collapsed, by world and kind, where there are any.
      unmatched: runs that never have the target, or are past it at their first kept state.
      rates: by kind.
      reporting: test examples that report.
    """

    values: Mapping[str, Mapping[str, Values]]
    targets: Mapping[str, float]
    effects: Mapping[str, Sequence[Effect]]
    control: Control
    failed: Mapping[str, int]
    unmatched: Mapping[str, int]
    rates: Mapping[str, float]
    reporting: int

    @property
    def consequences(self) -> tuple[str, ...]:
        """Those that were asked for."""
        return tuple(name for name in CONSEQUENCES if name in self.values[ENDED][SMALL])

    @property
    def seeds(self) -> int:
        """How many report."""
        return len(next(iter(self.values[ENDED][SMALL].values())))

    def of(self, state: str, kind: str, name: str) -> Floats:
        """(seeds,) NaN where a run failed."""
        return self.values[state][kind][name]


def measure(
    config: MatterConfig,
    runs: Mapping[Name, Prepared],
    rates: Mapping[str, float],
    target: Dataset | None,
) -> Found:
    """Finds matching states, and what each kind does there and at its end."""
    values: dict[str, dict[str, Values]] = {s: {kind: {} for kind in KINDS} for s in STATES}
    targets, failed, unmatched = {}, {}, {}
    for world in config.worlds:
        of_all = {kind: courses(runs[world, kind]) for kind in (SMALL, *OTHERS)}
        targets[world] = common_target(of_all.values())
        for kind, each in of_all.items():
            if lost := sum(not course.steps for course in each):
                failed[f"{world}, {kind}"] = lost
            places: dict[str, list[Between | None]] = {
                MATCHED: [crossing(course, targets[world]) for course in each],
                ENDED: [end_of(course) for course in each],
            }
            known = sum(place is not None for place in places[MATCHED])
            if lost := sum(bool(course.steps) for course in each) - known:
                unmatched[f"{world}, {kind}"] = lost
            found = _read(config, world, runs[world, kind], places, each, target)
            for state, at in found.items():
                for name, column in at.items():
                    values[state][kind][name] = column[: len(config.kinds.seeds)]
                    if kind == SMALL:  # whose second half of seeds is the A/A twin
                        values[state][AGAIN][name] = column[-len(config.kinds.seeds) :]
    _complete(values)
    ended = values[ENDED][SMALL]
    scales = {n: float(np.nanstd(ended[n], ddof=1)) for n in CONSEQUENCES if n in ended}
    pools = [_pooled(values[state]) for state in STATES]
    return Found(
        values,
        targets,
        {state: effects(values[state], scales) for state in STATES},
        same_kind(pools, SPLITS),
        failed,
        unmatched,
        rates,
        len(halves(len(runs[AS_IS, SMALL].plan.dataset.test))[1]),
    )


def _read(
    config: MatterConfig,
    world: str,
    prepared: Prepared,
    places: Mapping[str, Sequence[Between | None]],
    of_kind: Sequence[Course],
    target: Dataset | None,
) -> dict[str, Values]:
    """By state, (cells,) of everything, NaN where a run failed."""
    points = sorted(
        {
            (cell, step)
            for each in places.values()
            for cell, place in enumerate(each)
            if place is not None
            for step in (place.before, place.after)
        }
    )
    if not points:
        return {}
    at = {point: i for i, point in enumerate(points)}
    states = outcomes(world, prepared, points, config.consequences, target)
    found: dict[str, Values] = {}
    for state, each in places.items():
        table = {name: np.full(len(each), np.nan) for name in states}
        when = np.full(len(each), np.nan)
        for cell, place in enumerate(each):
            if place is None:
                continue
            pair = at[cell, place.before], at[cell, place.after]
            for name, column in states.items():
                table[name][cell] = place.read(*column[list(pair)])
            when[cell] = place.step / of_kind[cell].steps[-1]
        found[state] = table | ({WHEN: when} if world == AS_IS else {})
    return found


def _complete(values: Mapping[str, Mapping[str, Values]]) -> None:
    """What no run of a kind has, because all failed, is NaN there.

    Raises:
      UserError: no run of the small batch is left to compare with.
    """
    for state in values.values():
        names = {name: len(column) for each in state.values() for name, column in each.items()}
        if missing := set(names) - set(state[SMALL]):
            raise UserError(
                "--learning_rates: every run of the small batch failed where "
                f"{sorted(missing)[0]} is asked for; add smaller ones"
            )
        for each in state.values():
            for name, count in names.items():
                each.setdefault(name, np.full(count, np.nan))


def _pooled(values: Mapping[str, Values]) -> Values:
    """All seeds of the small batch."""
    both = values[SMALL], values[AGAIN]
    return {name: np.concatenate([each[name] for each in both]) for name in both[0]}
