"""placeholder."""

from typing import TYPE_CHECKING

import command_line
import lesson
import tuned
from minima import sweep
from parts.consequences.config import LARGE, PRESETS, SMALL, MatterConfig

if TYPE_CHECKING:
    from minima.sweep.run import Prepared

EXPERIMENT = "consequences"


def main(config: MatterConfig) -> int:
    """Chooses rates, trains every kind on everything, matches, measures and judges."""
    # They bring JAX and SciPy, which --help does without.
    from parts.consequences import stages
    from parts.consequences.claims import judge
    from parts.consequences.measured import measure
    from parts.consequences.report import findings

    # Plan: everything the user can get wrong is found here, before anything compiles.
    target = stages.check(config, EXPERIMENT)

    # Train: rates are chosen on some seeds, and what they give is reported on others.
    chosen = tuned.train(
        stages.candidates(config), config.kinds.tuning_seeds, EXPERIMENT, config, tuned.ACCURACY
    )
    if isinstance(chosen, int):
        return chosen
    rates = {kind: each.rate for kind, each in chosen.items()}
    rest = {
        name: sweep.prepare(each, EXPERIMENT) for name, each in stages.others(config, rates).items()
    }
    code = lesson.train_all({", ".join(name): each for name, each in rest.items()}, config)
    if code is not None:
        return code

    # Measure: what every kind does at one clean accuracy, and at its end.
    trained: dict[str, Prepared] = {kind: each.prepared for kind, each in chosen.items()}
    runs = stages.by_name(trained, rest)
    found = measure(config, runs, {**rates, LARGE: rates[SMALL]}, target)

    # Judge: are they sharp, does it matter?
    place = lesson.of_sweeps({SMALL: trained[SMALL]} | {", ".join(n): e for n, e in runs.items()})
    notes = [note for each in chosen.values() for note in each.notes]
    lesson.present(place, findings(found, judge(found), place.shown, notes))
    return 0


command_line.define(MatterConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
