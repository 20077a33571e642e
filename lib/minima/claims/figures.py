"""The flagship's figures: pure functions from evidence, gaps and verdicts to files' bytes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from minima.claims.accuracy_figures import gap_figure, planes_figure
from minima.claims.claim import Verdict
from minima.claims.claims_figure import claims_figure
from minima.claims.evidence import Evidence
from minima.claims.gap import Gap
from minima.claims.scaling_figures import best_rate_figure, steps_figure
from minima.record.figure_style import Picture
from minima.record.files import write_atomically

NAMES = ("gap", "steps_to_target", "best_rate", "planes", "claims")


def all_figures(
    evidence: Evidence,
    gaps: Mapping[str, Gap | str],
    verdicts: Sequence[Verdict],
    run: str = "",
) -> dict[str, Picture]:
    """Every figure that the evidence supports, by name.

    Args:
      evidence: what was measured.
      gaps: "finite data" and "infinite data", each split or why it could not be.
      verdicts: on it.
      run: a line that says what was trained.
    """
    drawn = (
        gap_figure(gaps, run),
        steps_figure(evidence, run),
        best_rate_figure(evidence, run),
        planes_figure(evidence, run),
        claims_figure(verdicts, run),
    )
    found = zip(NAMES, drawn, strict=True)
    return {name: picture for name, picture in found if picture is not None}


def write_figures(directory: Path, pictures: Mapping[str, Picture]) -> list[Path]:
    """Writes figures/NAME.png and .svg of a run's directory; says which.

    Figures of an earlier verdict that this one can't support are removed.

    Raises:
      DiskFull: no room.
    """
    folder = directory / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        if name not in pictures:
            for suffix in ("png", "svg"):
                (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    paths = []
    for name, picture in pictures.items():
        for suffix, content in (("png", picture.png), ("svg", picture.svg)):
            paths.append(folder / f"{name}.{suffix}")
            write_atomically(paths[-1], content)
    return paths
