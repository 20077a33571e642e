"""What sharp_vs_flat leaves on disk, and `present`, which also prints it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from judged import Judged, failures_first, verdict_entries
from minima.claims.choosing import UndecidedError
from minima.claims.figures import write_figures
from minima.claims.two_level import crossed_interval
from minima.record.board import Board
from minima.record.cells import plain
from minima.record.files import write_atomically
from minima.statistics.intervals import Interval
from minima.sweep.run import Prepared
from parts.sharp_vs_flat.arms import Minima
from parts.sharp_vs_flat.association import associate
from parts.sharp_vs_flat.claims import EQUAL, TUNED, ratio_interval
from parts.sharp_vs_flat.config import SharpConfig
from parts.sharp_vs_flat.figures import all_figures
from parts.sharp_vs_flat.findings import Findings
from parts.sharp_vs_flat.landscapes import Landscapes, look
from parts.sharp_vs_flat.panels import SHARPNESS
from parts.sharp_vs_flat.report import conclusions, lines
from parts.sharp_vs_flat.split import Spread

_PAIRS = {EQUAL: "large", TUNED: "tuned"}


def present(
    config: SharpConfig, prepared: Prepared, found: Findings, judged: Sequence[Judged]
) -> None:
    """Prints everything, and writes verdict.json and the figures."""
    around = look(config, found.main)
    print("\n".join(lines(found, judged, around.attack if around else None)) + "\n")
    path = prepared.directory / "verdict.json"
    write_atomically(path, verdict_json(prepared, found, judged, around))
    print(f"verdict:  {path}")
    pictures = all_figures(found, around, prepared.run_id)
    write_figures(prepared.directory, pictures)
    if prepared.plan.config.record.tensorboard:
        images = {f"verdict/{name}": picture.png for name, picture in pictures.items()}
        Board(prepared.directory, dict(prepared.plan.grid.axes)).add_figures(images)
    print(f"figures:  {prepared.directory / 'figures'}: {', '.join(pictures)}")
    print(f"results:  {prepared.directory / 'results.csv'}")


def verdict_json(
    prepared: Prepared,
    found: Findings,
    judged: Sequence[Judged],
    around: Landscapes | None,
) -> str:
    """The same for a program to read. It holds no times: the same command writes the same bytes."""
    verdicts = {claim.id: verdict.verdict for claim, verdict in judged}
    small = found.main["small"]
    everything = (*found.main.values(), *(after for _, after in found.switched.values()))
    content = {
        "run": prepared.run_id,
        "arms": {minima.name: _arm(minima) for minima in everything},
        "ratios": {
            about: {
                name: _limits(ratio_interval(found.main[key], small, name)) for name in SHARPNESS
            }
            for about, key in _PAIRS.items()
        },
        "split": {about: _parts(found.parts[key]) for about, key in _PAIRS.items()},
        "attack": [asdict(row) for row in around.attack.rows] if around else None,
        "association": {name: _association(found, name) for name in (*SHARPNESS, "loss")},
        "conclusions": list(conclusions(found, verdicts)),
        "verdicts": verdict_entries(failures_first(judged)),
        "notes": list(found.arms.notes),
    }
    return json.dumps(plain(content), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _arm(minima: Minima) -> dict[str, Any]:
    return {
        "about": minima.arm.about,
        "run": minima.arm.reading.run.path.name,
        "test_accuracy": crossed_interval(minima.hits).limits(),
        "medians": {name: float(np.nanmedian(v)) for name, v in minima.values.items()},
        "not_converged": {n: int(v.sum()) for n, v in minima.unsure.items() if v.any()},
    }


def _association(found: Findings, name: str) -> dict[str, Any] | None:
    try:
        is_ = associate(found.plane, name)
    except UndecidedError:
        return None
    intervals = {"tau": is_.tau, "psi": is_.psi, "partial": is_.partial}
    limits = {statistic: _limits(interval) for statistic, interval in intervals.items()}
    return {**limits, "worst_sign_error": is_.worst}


def _limits(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else interval.limits()


def _parts(parts: Mapping[str, Spread] | None) -> dict[str, Any] | None:
    if parts is None:
        return None
    return {
        name: {part: interval.limits() for part, interval in spread.items()}
        for name, spread in parts.items()
    }
