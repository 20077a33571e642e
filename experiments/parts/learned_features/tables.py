"""What was found, as tables."""

from collections.abc import Mapping, Sequence

from minima.claims.evidence import Floats
from minima.claims.ingredients import ANSWERS
from minima.record.tables import Table, Value
from minima.statistics.intervals import binomial_interval, t_interval
from parts.learned_features.config import DEEP, NETWORK, LearnedFeaturesConfig
from parts.learned_features.readings import Answers, Probes


def tables(
    config: LearnedFeaturesConfig,
    rates: Mapping[tuple[str, int], float],
    found: Mapping[str, Floats],
    probes: Mapping[str, Probes],
    answers: Sequence[Answers],
) -> dict[str, Table]:
    """All of them, by the name of their file."""
    return {
        "sizes": sizes_table(config, rates, found),
        "layers": layers_table(probes),
        "faults": faults_table(answers),
    }


def sizes_table(
    config: LearnedFeaturesConfig,
    rates: Mapping[tuple[str, int], float],
    found: Mapping[str, Floats],
) -> Table:
    """Test accuracy of every arm at every size."""
    rows: list[tuple[Value, ...]] = []
    for i, size in enumerate(config.features.sizes):
        for arm in config.arms:
            mean = _mean(found[arm.name][i])
            row = (size, arm.name, arm.model, rates[arm.name, size], *mean)
            rows.append((*row, float(found[arm.name][i].min()), float(found[arm.name][i].max())))
    columns = ("examples", "features", "model", "rate", "accuracy_percent", "low", "high")
    return Table(
        f"Test accuracy on {config.task.dataset}: n = {len(config.features.draws)} draws of the "
        "training set, Student's 95 % interval",
        (*columns, "least", "most"),
        rows,
        hidden=("least", "most"),
        notes=_edges(config, rates),
    )


def _edges(
    config: LearnedFeaturesConfig, rates: Mapping[tuple[str, int], float]
) -> tuple[str, ...]:
    """Where the best rate may lie beyond those that were tried."""
    return tuple(
        f"{arm.name} at {size:,}: the {'lowest' if rate == arm.rates[0] else 'highest'} of its "
        f"rates, {rate:.3g}, is best; a better one may lie beyond"
        for arm in config.arms
        for size in config.features.sizes
        for rate in [rates[arm.name, size]]
        if rate in (arm.rates[0], arm.rates[-1]) and len(arm.rates) > 1
    )


def layers_table(probes: Mapping[str, Probes]) -> Table:
    """Test accuracy of linear read-outs, layer by layer."""
    rows: list[tuple[Value, ...]] = []
    for name in (NETWORK, DEEP):
        each = probes[name]
        rows.append((each.model, "pixels", *_mean(each.pixels), *_mean(each.pixels)))
        rows.append((each.model, "HOG", *_mean(each.engineered), *_mean(each.engineered)))
        for layer in range(each.trained.shape[1]):
            before, after = each.initial[:, layer], each.trained[:, layer]
            rows.append((each.model, f"hidden {layer + 1}", *_mean(before), *_mean(after)))
    n = [len(probes[name].trained) for name in (NETWORK, DEEP)]
    return Table(
        f"Linear read-outs, test accuracy in %: n = {n[0]} draws and {n[1]} networks, Student's "
        "95 % interval",
        ("model", "read", "untrained", "low", "high", "trained", "trained_low", "trained_high"),
        rows,
    )


def faults_table(answers: Sequence[Answers]) -> Table:
    """What the diagnosis said of every kind of system."""
    rows: list[tuple[Value, ...]] = []
    for each in answers:
        right = binomial_interval(each.right, len(each.named)).map(lambda share: 100 * share)
        fault = each.fault
        row: tuple[Value, ...] = (
            fault.name,
            fault.about,
            fault.ingredient,
            *map(each.said, ANSWERS),
        )
        rows.append((*row, right.estimate, right.low, right.high, fault.new))
    columns = ("system", "what_was_done", "broken", *(f"said_{answer}" for answer in ANSWERS))
    return Table(
        f"Which ingredient broke, from curves alone: n = {len(answers[0].named)} seeds of each "
        "system, exact 95 % limits",
        (*columns, "right_percent", "low", "high", "new"),
        rows,
        notes=("new: the rules were settled without such a fault",),
    )


def blind_spots(answers: Sequence[Answers]) -> list[str]:
    """What the curves could not tell, and which run would."""
    lines = []
    for each in answers:
        wrong = [named for named in each.named if named.ingredient != each.fault.ingredient]
        if 2 * len(wrong) <= len(each.named):
            continue
        named = wrong[0]
        line = f"not told from curves: {each.fault.name} ({each.fault.ingredient}) looks like "
        line += f"{named.ingredient}: {named.reason}"
        lines.append(f"{line}; to tell: {named.test}" if named.test else line)
    return lines


def _mean(values: Floats) -> tuple[float, float, float]:
    if len(values) < 2:
        return float(values[0]), float("nan"), float("nan")
    interval = t_interval(values)
    return interval.estimate, interval.low, interval.high
