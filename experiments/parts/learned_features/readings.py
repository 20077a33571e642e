"""What was found, read from finished runs: accuracies by size, probes by layer, names of faults."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minima.claims.evidence import Floats
from minima.claims.ingredients import ANSWERS, NONE, Curves, Named, name_ingredient
from minima.record import results
from minima.record.snapshots import Snapshots
from minima.sweep.branch import from_arrays
from minima.sweep.lane import minimum_of
from minima.sweep.program import blank_initial
from minima.sweep.readouts import initial_variables, input_accuracy, layer_accuracies
from minima.sweep.run import Prepared
from parts.learned_features.config import DEEP, ENGINEERED, NETWORK, LearnedFeaturesConfig
from parts.learned_features.faults import FAULTS, Fault
from parts.learned_features.stages import Sweeps, reporting

POINTS = 100.0
LOG = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


@dataclass(frozen=True)
class Probes:
    """Linear read-outs of one network's hidden layers, test accuracy in %.

    Attributes:
      model: its name.
      initial, trained: (networks, layers).
      pixels, engineered: (networks,) the same read-out on what the network reads, and on HOG.
    """

    model: str
    initial: Floats
    trained: Floats
    pixels: Floats
    engineered: Floats


@dataclass(frozen=True)
class Answers:
    """What the diagnosis said of every system of one kind.

    Attributes:
      fault: the kind.
      named: what was said, by seed.
      curves: by name, (seeds, evaluations).
    """

    fault: Fault
    named: Sequence[Named]
    curves: Mapping[str, Floats]

    def said(self, answer: str) -> int:
        """How many got this answer."""
        return sum(each.ingredient == answer for each in self.named)

    @property
    def right(self) -> int:
        """How many got the right one."""
        return self.said(self.fault.ingredient)


def accuracies(config: LearnedFeaturesConfig, trained: Sweeps) -> dict[str, Floats]:
    """By arm, (sizes, draws) test accuracy in %: mean over a draw's networks, failed ones guess."""
    features = config.features
    return {
        arm.name: np.array(
            [
                [_test_accuracy(trained[reporting(arm, size, draw)]) for draw in features.draws]
                for size in features.sizes
            ]
        )
        for arm in config.arms
    }


def _test_accuracy(prepared: Prepared) -> float:
    accuracy = results.load(prepared.directory).table("test_accuracy")
    return float(POINTS * np.nan_to_num(accuracy, nan=1 / prepared.plan.dataset.num_classes).mean())


def probes(config: LearnedFeaturesConfig, trained: Sweeps) -> dict[str, Probes]:
    """The network of each reporting draw, and the deep one, before training and after."""
    by_name = {arm.name: arm for arm in config.arms}
    most, largest = config.features.probe_examples, config.largest
    found, inputs = [], []
    for draw in config.features.draws:
        network = trained[reporting(by_name[NETWORK], largest, draw)]
        engineered = trained[reporting(by_name[ENGINEERED], largest, draw)]
        found.append(_layers(network, most))
        inputs.append([input_accuracy(each.plan.dataset, most) for each in (network, engineered)])
    pixels, hog = POINTS * np.array(inputs).T
    network = trained[reporting(by_name[NETWORK], largest, config.features.draws[0])]
    initial, last = (np.array([each[when].mean(axis=0) for each in found]) for when in (0, 1))
    deep = trained[DEEP]
    before, after = _layers(deep, most)
    own = np.full(len(before), POINTS * input_accuracy(deep.plan.dataset, most))
    return {
        NETWORK: Probes(network.plan.recipe.task.model.name, initial, last, pixels, hog),
        DEEP: Probes(deep.plan.recipe.task.model.name, before, after, own, hog[: len(own)]),
    }


def _layers(prepared: Prepared, most: int) -> tuple[Floats, Floats]:
    """(networks, layers) before training and after, of every run of a sweep, in %."""
    plan, snapshots = prepared.plan, Snapshots(prepared.directory)
    like, task = blank_initial(plan.recipe), plan.recipe.task
    cells = range(len(plan.cells))
    last = [minimum_of(from_arrays(snapshots.read(i, snapshots.steps(i)[-1]), like)) for i in cells]
    first = [initial_variables(task, plan.cells[i]["seed"]) for i in cells]
    both = layer_accuracies(task, plan.dataset, [*first, *last], most)
    return POINTS * both[: len(cells)], POINTS * both[len(cells) :]


def diagnoses(config: LearnedFeaturesConfig, trained: Sweeps) -> tuple[float, list[Answers]]:
    """The accuracy that is known to be possible, and what the diagnosis says of every system.

    The former is the median over the systems in order, at their last evaluation.
    """
    logs = {
        fault.name: {name: _curves(trained[fault.name], name) for name in LOG}
        for fault in config.planted
    }
    in_order = FAULTS[0].name
    attainable = float(np.nanmedian(logs[in_order][LOG[3]][:, -1]))
    classes = trained[in_order].plan.dataset.num_classes
    answers = []
    for fault in config.planted:
        columns = [log.tolist() for log in logs[fault.name].values()]
        named = [
            name_ingredient(Curves(*rows), classes, attainable)
            for rows in zip(*columns, strict=True)
        ]
        answers.append(Answers(fault, named, logs[fault.name]))
    return attainable, answers


def _curves(prepared: Prepared, name: str) -> Floats:
    return results.load(prepared.directory).curves(name)[0, 0]


def confusion(answers: Sequence[Answers]) -> Mapping[str, Mapping[str, int]]:
    """How often each answer was given, by what was really broken."""
    return {
        truth: {
            answer: sum(a.said(answer) for a in answers if a.fault.ingredient == truth)
            for answer in ANSWERS
        }
        for truth in ANSWERS
    }


def healthy(answers: Sequence[Answers]) -> list[Answers]:
    """Those of systems with nothing broken."""
    return [each for each in answers if each.fault.ingredient == NONE]
