"""What TensorBoard shows of a whole sweep: heat maps, what was run, where things are, a layout."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minima.record.board_cell import CURVES
from minima.record.cells import Axes, Cell
from minima.record.figures import plane_png
from minima.record.plane import panels
from minima.record.run_directory import flat

RUN = "all_cells"  # also the group of the heat maps' tags: first in the alphabet, and on the pages
_HEAT_MAPS = ("test_accuracy", "validation_loss")
_ABOUT = """\
**{experiment}**, run `{run_id}`

| where | what |
|---|---|
| Time Series | heat maps of the plane (the step is the number of finished cells), then curves: a \
run per cell, {curves}; to choose, type a part of a name such as `bs=32,` or `seed=0` |
| HParams | a row per batch size and learning rate, means over the seeds that trained; \
`diverged` and `collapsed` are shares of seeds |
| Custom Scalars | training and validation in one chart |
| `{directory}` | results.csv, results.nc, cells.jsonl (the truth), figures, run.flags |

Best one sweep at a time: `make tensorboard LOGDIR={directory}/tensorboard`. Over several, the
HParams table has the columns of one of them.
"""
# TensorBoard's own limits: with more runs it starts with none ticked, and the pages are empty.
_ADVICE = {
    40: """
With more than 40 runs, Images, Text and Custom Scalars show nothing until the list of runs is
filtered: type `all_cells` above it, or `bs=32,`.
""",
    500: """
With more than 500 runs, Time Series shows nothing until runs are ticked: type a filter above their
list, such as `all_cells|seed=0`, and tick the box at its top.
""",
    20_000: """
Of more than 20,000 cells only those with curves are rows of the table and runs here; results.csv
and results.nc have all.
""",
}


def about(directory: Path, info: Mapping[str, Any], axes: Axes, curves: int) -> dict[str, str]:
    """Texts, by tag, that are known when the sweep starts; `curves` cells have curves."""
    count = math.prod(len(values) for values in axes.values())
    which = "curves for all" if curves >= count else f"curves for {curves:,} of {count:,}"
    text = _ABOUT.format(
        experiment=info.get("experiment"),
        run_id=info.get("run_id"),
        directory=directory,
        curves=which,
    )
    text += "".join(advice for runs, advice in _ADVICE.items() if count + 1 > runs)
    environment = {
        name: info.get(name) for name in ("started", "git", "versions", "devices", "platform")
    }
    return {
        "sweep/about": text,
        "sweep/config": _table(info.get("config") or {}),
        "sweep/environment": _table(environment | {"command": " ".join(info.get("argv") or ())}),
    }


def outcome(axes: Axes, cells: Sequence[Cell]) -> dict[str, str]:
    """How many cells there are of each status, by tag."""
    count = math.prod(len(values) for values in axes.values())
    counts = Counter(cell["status"] for cell in cells)
    return {"sweep/outcome": _table({"finished": f"{len(cells):,} of {count:,}", **counts})}


def heat_maps(axes: Axes, cells: Sequence[Cell]) -> dict[str, bytes]:
    """PNG files, by tag: a plane per metric that has values and per combination of further axes."""
    images = {}
    for metric in _HEAT_MAPS:
        for label, its_axes, its_cells in panels(axes, cells):
            if any(math.isfinite(cell.get(metric, math.nan)) for cell in its_cells):
                tag = f"{RUN}/{metric}" + (f"/{label}" if label else "")
                images[tag] = plane_png(its_axes, its_cells, metric, label)
    return images


def layout() -> list[Any]:
    """Charts of the Custom Scalars page, as Summary.Value protos."""
    from tensorboard.compat.proto import summary_pb2, tensor_pb2, types_pb2
    from tensorboard.plugins.custom_scalar import layout_pb2, metadata

    def chart(title: str, *names: str) -> Any:
        content = layout_pb2.MultilineChartContent(tag=[f"^{CURVES}/{name}$" for name in names])
        return layout_pb2.Chart(title=title, multiline=content)

    pages = {
        "training against validation": [
            chart(name, f"train_{name}", f"validation_{name}") for name in ("accuracy", "loss")
        ],
        "validation": [chart(name, f"validation_{name}") for name in ("accuracy", "loss")],
        "training": [chart(name, f"train_{name}") for name in ("accuracy", "loss")],
    }
    categories = [layout_pb2.Category(title=title, chart=page) for title, page in pages.items()]
    proto = layout_pb2.Layout(category=categories).SerializeToString()
    # By hand: the plugin's own helper imports TensorFlow. And without a class of data the fast
    # loader would not keep a tensor of a plugin that it does not know.
    kind = metadata.create_summary_metadata()
    kind.data_class = summary_pb2.DATA_CLASS_TENSOR
    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING,
        tensor_shape={"dim": []},
        string_val=[proto],
    )
    return [
        summary_pb2.Summary.Value(tag=metadata.CONFIG_SUMMARY_TAG, metadata=kind, tensor=tensor)
    ]


def _table(values: Mapping[str, Any]) -> str:
    rows = [f"| {name} | {_cell(value)} |" for name, value in flat(values).items()]
    return "\n".join(["| name | value |", "|---|---|", *rows])


def _cell(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text.replace("|", "\\|") or "(empty)"
