"""TensorBoard's HParams table: a row per batch size and learning rate, its seeds folded into it.

A sweep announces once which hyperparameters and metrics there are; every cell then says where it
starts and how it ended. The seeds of a point share a group, and TensorBoard shows the group's means
of `final/*`. Seeds that diverged or collapsed have none of those, as in the plane: a mean that took
them in would lie between two modes. They are counted by `final/diverged` and `final/collapsed`,
whose means are the shares of seeds.

Only what imports without TensorFlow is used: `summary_v2` and the plugin's protos.
"""

import math
import time
from typing import Any

import numpy as np

from minima.record.cells import FAILED, Axes, Cell, spell
from minima.record.dataset import METRICS
from minima.record.measures import HEADLINES, values

# TensorBoard ticks the first five of each; the others are a click away.
SHOWN = ("test_accuracy", *FAILED, "validation_loss", "train_loss")
FINAL_TAGS = tuple(f"final/{name}" for name in dict.fromkeys((*SHOWN, *METRICS)))
MEASURES = "landscape"  # the group of their tags; they are columns too, empty until measured
_MOST_HPARAMS = 5


def experiment(axes: Axes) -> list[Any]:
    """What the table consists of, as Summary.Value protos for the sweep's own run, once.

    Without domains: TensorBoard takes the first sweep's under a folder, and would hide the rows of
    other sweeps that lie outside.
    """
    from tensorboard.plugins.hparams import summary_v2

    names = _names({name: values[0] for name, values in axes.items()})
    columns = [summary_v2.HParam(name) for name in names]
    tags = (*FINAL_TAGS, *(f"{MEASURES}/{name}" for name in HEADLINES))
    metrics = [summary_v2.Metric(tag, display_name=_words(tag)) for tag in tags]
    return list(summary_v2.hparams_config_pb(columns, metrics).value)


def session_start(cell: Cell, axes: Axes, sweep: str) -> list[Any]:
    """The cell's hyperparameters, as Summary.Value protos for the cell's run."""
    from tensorboard.plugins.hparams import summary_v2

    return list(summary_v2.hparams_pb(_hparams(cell["cell"]), group(cell, axes, sweep)).value)


def session_end(cell: Cell) -> list[Any]:
    """How the cell ended, as Summary.Value protos for the cell's run.

    Diverged is FAILURE: there is no minimum. Collapsed is SUCCESS, since the cell trained to the
    end of its budget and stands at a point like any other; `final/collapsed` tells it apart.
    """
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = "STATUS_FAILURE" if cell["status"] == "diverged" else "STATUS_SUCCESS"
    end = plugin_data_pb2.SessionEndInfo(
        status=api_pb2.Status.Value(status), end_time_secs=time.time()
    )
    data = plugin_data_pb2.HParamsPluginData(session_end_info=end)
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(data),
        tensor=metadata.NULL_TENSOR,
    )
    return [value]


def final_scalars(cell: Cell) -> dict[str, float]:
    """The cell's `final/*` scalars, by tag: what the table shows of it."""
    failed = {f"final/{name}": float(cell["status"] == name) for name in FAILED}
    if cell["status"] in FAILED:
        return failed
    known = {f"final/{name}": cell[name] for name in METRICS if _is_number(cell.get(name))}
    return failed | known


def measured_scalars(cell: Cell) -> dict[str, float]:
    """What was measured at the cell's minimum, by tag; nothing of a cell that failed."""
    if cell["status"] in FAILED:
        return {}
    found = values(cell)
    return {f"{MEASURES}/{name}": value for name, value in found.items() if _is_number(value)}


def group(cell: Cell, axes: Axes, sweep: str) -> str:
    """The row a cell belongs to, such as `007 bs=16,lr=0.1`; rows are sorted by this text.

    The sweep's name at the end keeps cells of several sweeps under one folder apart.
    """
    kept = {name: values for name, values in axes.items() if name != "seed"}
    shape = [len(values) for values in kept.values()]
    place = [list(values).index(cell["cell"][name]) for name, values in kept.items()]
    number = int(np.ravel_multi_index(place, shape))
    width = len(str(math.prod(shape) - 1))
    return f"{number:0{width}d} {spell({name: cell['cell'][name] for name in kept})} {sweep}"


def _hparams(where: dict[str, Any]) -> dict[str, Any]:
    logs = {
        "log2_batch_size": math.log2(where["batch_size"]),
        "log10_learning_rate": math.log10(where["learning_rate"]),
    }
    plain = {n: v if isinstance(v, int | float | str) else str(v) for n, v in where.items()}
    return {name: (plain | logs)[name] for name in _names(where)}


def _names(where: dict[str, Any]) -> list[str]:
    """The columns: the plane's axes, then further ones, then the axes as plots want them."""
    plane = ["batch_size", "learning_rate"]
    further = [name for name in where if name not in (*plane, "seed")]
    return [*plane, *further, "log2_batch_size", "log10_learning_rate"][:_MOST_HPARAMS]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _words(tag: str) -> str:
    return tag.partition("/")[2].replace("_", " ")
