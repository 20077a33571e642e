"""What every run says of the test set: with the cue, with the other one, and without it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from minima.evaluation.shortcuts import Cue as Found
from minima.evaluation.shortcuts import find_shortcuts
from minima.record import results
from minima.record.snapshots import Snapshots
from minima.sweep.minima import predict_logits
from minima.sweep.run import Prepared
from minima.tasks import datasets
from minima.tasks.datasets import planted
from minima.tasks.datasets.dataset import Dataset
from parts.spurious_correlation.config import COLOURS, GREY, IRM, VREX, SpuriousConfig

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
BY_TEST, BY_VALIDATION = "chosen by the reversed test", "chosen by validation"
_DRAWN = 99  # seed of the test set that shares the colours
_SHARED_COLOURS = float(np.mean(planted.DISAGREE))


@dataclass(frozen=True)
class Stage:
    """A test set, and how its cue and labels come about.

    Attributes:
      cue: colours, rulers or words.
      truth: (n,) 0 or 1: which half of the classes.
      noise: how often a label is the other one.
      disagree: how often the cue goes with the other label, where networks train.
      labels, there: (n,) one draw of both that shares the cue.
      decoys: (n,) other candidates for a shortcut, 0 or 1, by name.
    """

    cue: str
    truth: Ints
    noise: float
    disagree: float
    labels: Ints
    there: Ints
    decoys: Mapping[str, Ints]


@dataclass(frozen=True)
class Outcome:
    """What a method's runs of the reporting seeds guess.

    Attributes:
      stage: of the test set.
      method: its name.
      setting: what tells it from others of its name, such as "L2 0.03".
      guesses: (seeds, 3, n) int32: without the cue, with it, and in between (of colours: grey; else
        as without).
      strength: of the penalty, or NaN.
    """

    stage: Stage
    method: str
    setting: str
    guesses: Ints
    strength: float = float("nan")

    def expected(self, disagree: float) -> Floats:
        """Accuracy in %, (seeds,), where the cue so often goes with the other label.

        Over all draws of labels and cues, not one of them: each image is asked about in both.
        """
        stage, total = self.stage, np.zeros(len(self.guesses))
        for flipped, there in np.ndindex(2, 2):
            label = stage.truth ^ flipped
            weight = stage.noise if flipped else 1 - stage.noise
            share = weight * np.where(label == there, 1 - disagree, disagree)
            total += np.mean(share * (self.guesses[:, there] == label), axis=1)
        return 100 * total

    @property
    def shared(self) -> Floats:
        """Accuracy in %, (seeds,), on a test set that shares the shortcut."""
        return self.expected(self.stage.disagree)

    @property
    def reversed(self) -> Floats:
        """Accuracy in %, (seeds,), where the cue goes with the other label."""
        flip = planted.TEST_DISAGREE if self.stage.cue == COLOURS else 1 - self.stage.disagree
        return self.expected(flip)

    @property
    def without(self) -> Floats:
        """Accuracy in %, (seeds,), on the stress set without the cue."""
        stage = self.stage
        right = np.mean(self.guesses[:, 2] == stage.truth, axis=1)
        return 100 * (stage.noise + (1 - 2 * stage.noise) * right)

    @property
    def lean(self) -> Floats:
        """Points of accuracy, (seeds,), between a cue that always helps and one that never does."""
        return self.expected(0.0) - self.expected(1.0)

    @property
    def worst(self) -> Floats:
        """Accuracy in %, (seeds,), of the worst of four groups, (true half, cue).

        The cue is put on every image of a half, so that no group is small.
        """
        groups = [
            np.mean(self.guesses[:, there][:, self.stage.truth == half] == half, axis=1)
            for half, there in np.ndindex(2, 2)
        ]
        return 100 * np.min(groups, axis=0)

    def found(self, seed: int) -> list[Found]:
        """What the finder says of one seed's guesses on the drawn test set, worst cue first."""
        stage = self.stage
        there = stage.there.astype(bool)
        guess = np.where(there, self.guesses[seed, 1], self.guesses[seed, 0])
        absent, present = ("green", "red") if stage.cue == COLOURS else ("without", "with")
        values = np.where(there, present, absent)
        named = {_singular(stage.cue): values, **stage.decoys}
        return find_shortcuts(stage.labels, guess, named, resamples=499, seed=seed)


@dataclass(frozen=True)
class Measured:
    """Everything that is judged.

    Attributes:
      outcomes: in the order of the report; penalties at every strength.
      chosen: (method, how) -> index of the outcome whose strength was chosen so.
      seeds: that report.
    """

    outcomes: list[Outcome]
    seeds: tuple[int, ...]
    chosen: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def of(self, cue: str, method: str, setting: str | None = None) -> Outcome:
        """The one outcome of that name; the last where settings are left open."""
        fitting = [
            each
            for each in self.outcomes
            if (each.stage.cue, each.method) == (cue, method)
            and (setting is None or each.setting == setting)
        ]
        return fitting[-1]

    @property
    def cues(self) -> list[str]:
        """In order."""
        return list(dict.fromkeys(each.stage.cue for each in self.outcomes))


def measure(prepared: Mapping[tuple[str, str], Prepared], config: SpuriousConfig) -> Measured:
    """Asks every reporting run about the test set three times."""
    outcomes: list[Outcome] = []
    chosen: dict[tuple[str, str], int] = {}
    stages: dict[str, Stage] = {}
    order = list(dict.fromkeys(cue for cue, _ in prepared))
    for (cue, method), each in sorted(prepared.items(), key=lambda item: order.index(item[0][0])):
        stage = stages.setdefault(cue, _stage(cue, each.plan.dataset, config))
        begin = len(outcomes)
        outcomes += _outcomes(stage, method, each, config.colours.seeds)
        if method in (IRM, VREX):
            for how, name in ((BY_TEST, "test_accuracy"), (BY_VALIDATION, "validation_accuracy")):
                chosen[method, how] = begin + _choice(each, name, config.colours.tuning_seeds)
    return Measured(outcomes, config.colours.seeds, chosen)


def _stage(cue: str, dataset: Dataset, config: SpuriousConfig) -> Stage:
    inputs = dataset.test.inputs
    decoys = _decoys(inputs, dataset.kind)
    if cue != COLOURS:
        labels = dataset.test.labels
        there = planted.cue_of(dataset).found(inputs).astype(np.int32)
        return Stage(cue, labels, 0.0, planted.RARE, labels, there, decoys)
    asked = config.task
    base = datasets.load(
        asked.dataset,
        data_dir=asked.data_dir,
        validation_fraction=asked.validation_fraction,
        image_size=asked.image_size,
    )
    truth = planted.upper_half(base, base.test)
    drawn = planted.draw(truth, planted.LABEL_NOISE, _SHARED_COLOURS, _DRAWN)
    return Stage(cue, truth, planted.LABEL_NOISE, _SHARED_COLOURS, *drawn, decoys)


def _decoys(inputs: np.ndarray, kind: str) -> dict[str, Ints]:
    """Candidates that nothing was planted in: how much there is, and a coin."""
    coin = np.random.RandomState(_DRAWN).randint(2, size=len(inputs))
    amount = (inputs > 0).reshape(len(inputs), -1).sum(axis=1)
    large = amount > np.median(amount)
    name = "many words" if kind == "tokens" else "much ink"
    return {name: large.astype(np.int32), "a coin": coin.astype(np.int32)}


def _outcomes(
    stage: Stage, method: str, prepared: Prepared, seeds: tuple[int, ...]
) -> list[Outcome]:
    """One for each value of the sweep's axis."""
    plan, snapshots = prepared.plan, Snapshots(prepared.directory)
    ((name, values),) = plan.config.grid.axes
    cells = [
        [
            next(i for i, c in enumerate(plan.cells) if c[name] == v and c["seed"] == s)
            for s in seeds
        ]
        for v in values
    ]
    points = [(cell, snapshots.steps(cell)[-1]) for row in cells for cell in row]
    inputs = _three_ways(plan.dataset, stage, method)
    mesh = plan.layout.make_mesh()
    logits = predict_logits(plan, snapshots, points, inputs, mesh)
    # A run that failed has logits that are not finite; argmax of those is class 0: a guess.
    guesses = np.argmax(logits, axis=-1).astype(np.int32)
    guesses = guesses.reshape(len(values), len(seeds), 3, len(stage.truth))
    penalty = method in (IRM, VREX)
    return [
        Outcome(
            stage,
            method,
            f"{'penalty' if penalty else 'L2'} {value:g}",
            guesses[i],
            value if penalty else float("nan"),
        )
        for i, value in enumerate(values)
    ]


def _three_ways(dataset: Dataset, stage: Stage, method: str) -> np.ndarray:
    """(3n, ...): the test inputs without the cue, with it, in between."""
    inputs, n = dataset.test.inputs, len(stage.truth)
    if method == GREY:
        return np.concatenate([inputs] * 3)
    cue, middle = planted.cue_of(dataset), 0.5 if stage.cue == COLOURS else 0.0
    return np.concatenate([cue.put(inputs, np.full(n, there)) for there in (0.0, 1.0, middle)])


def _choice(prepared: Prepared, metric: str, tuning: tuple[int, ...]) -> int:
    """Which strength the tuning seeds are best at, by a final number of theirs."""
    seeds = prepared.plan.config.grid.seeds
    table = results.load(prepared.directory).table(metric)[0, 0]  # strengths × seeds
    means = table[:, [seeds.index(seed) for seed in tuning]].mean(axis=1)
    return int(np.nanargmax(np.where(np.isfinite(means), means, -1.0)))


def _singular(cue: str) -> str:
    return cue.removesuffix("s")
