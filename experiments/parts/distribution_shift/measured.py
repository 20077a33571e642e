"""Everything that distribution_shift measures, in the order of its tables."""

from collections.abc import Mapping
from dataclasses import dataclass

from minima.sweep.run import Prepared
from minima.tasks import datasets
from parts.distribution_shift import line, months, priors, robustness, streams
from parts.distribution_shift.config import DIGITS, IMAGES, SIGNALS, DistributionShiftConfig
from parts.distribution_shift.line import Line
from parts.distribution_shift.months import Course
from parts.distribution_shift.networks import Said, alive, probabilities, said
from parts.distribution_shift.priors import Priors
from parts.distribution_shift.robustness import Robustness, Stranger
from parts.distribution_shift.streams import Alarms


@dataclass(frozen=True)
class Measured:
    """What was found.

    Attributes:
      robustness, strangers, priors: by IMAGES and SIGNALS.
      home, abroad: of the launched networks of the sweep of many models.
      line: of all of them.
      null, null_monitor: alarms where nothing is there, by detector.
      power: alarms by detector and severity from 0.
      courses: by policy.
    """

    robustness: Mapping[str, Robustness]
    strangers: Mapping[str, list[Stranger]]
    priors: Mapping[str, Priors]
    home: Said
    abroad: Said
    line: Line
    null: Mapping[str, Alarms]
    null_monitor: Mapping[str, Alarms]
    power: Mapping[str, list[Alarms]]
    courses: Mapping[str, Course]


def measure(
    config: DistributionShiftConfig,
    launched: Mapping[str, Prepared],
    retrained: Mapping[int, Prepared],
) -> Measured:
    """Asks the trained networks.

    Raises:
      UserError: too few of them trained.
    """
    shift, watch = config.shift, config.watch
    flags = {IMAGES: "image_rate", SIGNALS: "signal_rate"}
    cells = {name: alive(launched[name], flag) for name, flag in flags.items()}
    count = {name: min(shift.corrupted, len(launched[name].plan.dataset.test)) for name in flags}
    digits, other = launched[DIGITS], datasets.load(config.line.abroad, _data_dir(config))
    own = _launched(config, digits)
    test = digits.plan.dataset.test
    signals = launched[SIGNALS]
    first = cells[SIGNALS][0]
    pool = streams.observed(
        robustness.launch_logits(signals, first), signals.plan.dataset.test.labels
    )
    return Measured(
        {name: robustness.measure(launched[name], cells[name], count[name]) for name in flags},
        {name: robustness.strangers(launched[name], cells[name], count[name]) for name in flags},
        {name: priors.measure(launched[name], cells[name]) for name in flags},
        said(probabilities(digits, test.inputs, own), test.labels),
        said(probabilities(digits, other.test.inputs, own), other.test.labels),
        line.measure(digits, other.test.inputs, other.test.labels),
        streams.null_by_detector(watch.null_streams, watch.window),
        streams.null_of_monitor(pool, watch.null_streams, watch.window),
        streams.power(signals, first, pool, count[SIGNALS], watch.power_streams, watch.window),
        months.measure(config, signals, retrained),
    )


def check_abroad(config: DistributionShiftConfig, digits: Prepared) -> None:
    """Refuses a shifted set that the sweep's networks can't read.

    Raises:
      UserError: see there.
    """
    from minima.runtime.errors import UserError

    here, there = digits.plan.dataset, datasets.load(config.line.abroad, _data_dir(config))
    if (here.kind, here.num_classes) != (there.kind, there.num_classes) or (
        there.test.inputs.shape[1:] != here.input_shape
    ):
        raise UserError(
            f"--abroad={config.line.abroad}: holds {there.num_classes} classes of {there.kind} "
            f"data {there.input_shape}, --home={config.line.home} {here.num_classes} of "
            f"{here.kind} data {here.input_shape}; use e.g. fog3:{config.line.home}"
        )


def _launched(config: DistributionShiftConfig, digits: Prepared) -> list[int]:
    """Cells of the sweep at the rate that is launched, at the first batch size."""
    asked = config.line
    rate, seeds = asked.line_rates.index(asked.launched_rate), len(asked.line_seeds)
    mine = range(rate * seeds, (rate + 1) * seeds)
    return [cell for cell in alive(digits, "launched_rate") if cell in mine]


def _data_dir(config: DistributionShiftConfig) -> str:
    inner = config.line.abroad.rpartition(":")[2]
    return config.shift.data_dir if inner in datasets.DATA_DIR else ""
