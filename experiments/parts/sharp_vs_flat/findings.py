"""What sharp_vs_flat trains and measures, arm by arm, as one value that claims are judged on."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from minima.claims.choosing import UndecidedError
from minima.claims.readings import Reading
from minima.landscape.panels import Panel
from minima.sweep.config import SweepConfig
from minima.sweep.run import Prepared
from parts.batch_size_vs_learning_rate import stages as flagship
from parts.sharp_vs_flat import stages
from parts.sharp_vs_flat.arms import (
    Arm,
    Minima,
    arm_at,
    best_of,
    best_rate,
    measured,
    nearest_in_loss,
    unmeasured,
)
from parts.sharp_vs_flat.config import SharpConfig
from parts.sharp_vs_flat.panels import forms
from parts.sharp_vs_flat.split import Spread, splits

Train = Callable[[str, SweepConfig], Prepared | None]  # None: stopped before it was done


class StoppedError(Exception):
    """A stage was stopped; what is finished is on disk."""


@dataclass(frozen=True)
class Arms:
    """What was trained; None, or missing, where that could not be.

    Attributes:
      small, large, tuned: the small batch at its best rate, the large one at the same rate, and at
        its own best rate.
      sam, asam: as `tuned`, at the best radius.
      noisy, noisy_sam: the small batch with random labels among the training set, and SAM there.
      random, true: a few examples learnt by heart with random and with their own labels.
      switched: what became of an arm after a switch halfway, by what was switched.
      plane: all batch sizes and rates at which no seed failed.
      notes: what was left out, and choices at an edge.
    """

    small: Arm
    large: Arm
    tuned: Arm
    sam: Arm | None = None
    asam: Arm | None = None
    noisy: Arm | None = None
    noisy_sam: Arm | None = None
    random: Arm | None = None
    true: Arm | None = None
    switched: Mapping[str, Arm] = field(default_factory=dict)
    plane: tuple[Arm, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Findings:
    """The same, measured.

    Attributes:
      arms: what was trained.
      main: small, large, tuned, sam, asam, as far as they are there, by these names.
      noisy, noisy_sam: their accuracy only.
      random, true: at the same training loss, seed by seed.
      switched: what was, by what was switched, and what came of it.
      plane: all batch sizes and rates at which no seed failed.
      parts: of the ratios of `large` and `tuned` over `small`; None where they can't be split.
    """

    arms: Arms
    main: Mapping[str, Minima]
    noisy: Minima | None
    noisy_sam: Minima | None
    random: Minima | None
    true: Minima | None
    switched: Mapping[str, tuple[Minima, Minima]]
    plane: tuple[Minima, ...]
    parts: Mapping[str, dict[str, Spread] | None]


def train_arms(config: SharpConfig, plane: Prepared, train: Train) -> Arms:
    """Trains what stands beside the plane, which has been trained.

    Raises:
      StoppedError: a stage was stopped.
      UndecidedError: at every rate of the plane some choosing seed failed.
    """
    reading = flagship.read(plane)
    small, large = best_rate(reading, 0), best_rate(reading, -1)
    notes = [*small.notes("plane"), *large.notes("plane")]
    arms = Arms(
        arm_at("small batch", reading, 0, small.column),
        arm_at("large batch, same rate", reading, 1, small.column),
        arm_at("large batch, tuned rate", reading, 1, large.column),
    )
    where = (large.batch_size, large.rate)
    stages: tuple[tuple[str, Callable[[Arms], Arms]], ...] = (
        ("SAM", lambda arms: replace(arms, sam=_aware(config, train, "sam", *where))),
        ("ASAM", lambda arms: replace(arms, asam=_aware(config, train, "asam", *where))),
        ("label noise", lambda arms: _noisy(config, train, arms)),
        ("random labels", lambda arms: _memorised(config, train, arms)),
    )
    for name, stage in stages:
        try:
            arms = stage(arms)
        except UndecidedError as error:
            notes.append(f"{name} left out: needs {error}")
    switched = _switched(config, train, arms)
    return replace(arms, switched=switched, plane=tuple(_sound(reading)), notes=tuple(notes))


def measure_arms(config: SharpConfig, arms: Arms) -> Findings:
    """Measures the minima of reporting seeds, all by one program."""
    examples = config.controls.measured_examples
    panel = forms(arms.small.reading.plan.recipe.task.model)
    names = ("small", "large", "tuned", "sam", "asam")
    there = {name: arm for name in names if (arm := getattr(arms, name)) is not None}
    print(f"measuring  {len(there)} arms", flush=True)
    main = {name: measured(arm, panel, examples) for name, arm in there.items()}
    print(f"measuring  {len(arms.plane)} points of the plane, switches, controls", flush=True)
    switched = {
        name: (main[stages.SWITCHES[name]], measured(arm, panel, examples))
        for name, arm in arms.switched.items()
    }
    random, true = _same_loss(arms, panel, examples)
    return Findings(
        arms,
        main,
        noisy=None if arms.noisy is None else unmeasured(arms.noisy),
        noisy_sam=None if arms.noisy_sam is None else unmeasured(arms.noisy_sam),
        random=random,
        true=true,
        switched=switched,
        plane=tuple(measured(arm, panel, examples) for arm in arms.plane),
        parts=splits(main["small"], {key: main[key] for key in ("large", "tuned")}, examples),
    )


def _same_loss(arms: Arms, panel: Panel, examples: int) -> tuple[Minima | None, Minima | None]:
    """Random and true labels where their training losses are the same, seed by seed."""
    if arms.random is None or arms.true is None:
        return None, None
    loss = np.fmax(arms.random.final("train_loss"), arms.true.final("train_loss"))
    pair = [
        measured(arm, panel, examples, nearest_in_loss(arm, loss))
        for arm in (arms.random, arms.true)
    ]
    return pair[0], pair[1]


def _aware(config: SharpConfig, train: Train, kind: stages.Rule, size: int, rate: float) -> Arm:
    title = kind.upper()
    radii = config.arms.rhos if kind == "sam" else config.arms.asam_rhos
    tried = []
    for rho in radii:
        reading = _stage(
            train, f"{title}, radius {rho:g}", stages.aware(config, kind, rho, size, rate)
        )
        tried.append(arm_at(title, reading, 0, 0, f", radius {rho:g}"))
    return best_of(tried)


def _noisy(config: SharpConfig, train: Train, arms: Arms) -> Arms:
    reading = _stage(train, "label noise", stages.noisy(config))
    chosen = best_rate(reading, 0)
    tried = []
    for rho in config.controls.noise_rhos:
        swept = stages.noisy_aware(config, rho, chosen.rate)
        beside = _stage(train, f"label noise, SAM, radius {rho:g}", swept)
        tried += [
            arm_at("SAM, label noise", beside, 0, column, f", radius {rho:g}")
            for column in range(len(beside.axes[1]))
        ]
    sgd = arm_at("SGD, label noise", reading, 0, chosen.column)
    return replace(arms, noisy=sgd, noisy_sam=best_of(tried))


def _memorised(config: SharpConfig, train: Train, arms: Arms) -> Arms:
    random, true = (
        _whole(labels, _stage(train, labels, stages.memorised(config, labels)))
        for labels in (stages.RANDOM, stages.TRUE)
    )
    return replace(arms, random=random, true=true)


def _switched(config: SharpConfig, train: Train, arms: Arms) -> dict[str, Arm]:
    found = {}
    for name, key in stages.SWITCHES.items():
        trunk: Arm | None = getattr(arms, key)
        if trunk is None:
            continue
        run, (size, rate) = str(trunk.reading.run.path), trunk.place
        swept = stages.switched(config, name, trunk.reading.plan, run, size, rate)
        found[name] = _whole(f"{trunk.name}, {name}", _stage(train, f"switch: {name}", swept))
    return found


def _sound(reading: Reading) -> Iterator[Arm]:
    """Every point of the plane at which no reporting seed failed."""
    for row, column in np.ndindex(*reading.shape[:2]):
        arm = arm_at("", reading, row, column)
        if None not in arm.points():
            yield replace(arm, name=arm.about)


def _whole(name: str, reading: Reading) -> Arm:
    """An arm of a stage that chooses nothing: all of its seeds report."""
    return replace(arm_at(name, reading, 0, 0), reporting=tuple(range(len(reading.seeds))))


def _stage(train: Train, name: str, config: SweepConfig) -> Reading:
    prepared = train(name, config)
    if prepared is None:
        raise StoppedError(name)
    return flagship.read(prepared)
