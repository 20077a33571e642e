"""Tables, figures and the two reports on the renter case."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from judged import Judged
from lesson import Findings
from minima.claims.claims_figure import claims_figure
from minima.evaluation import audit_figures, audit_report
from minima.evaluation.audit import BLOCKED, NOT_ANSWERABLE, OK, QUESTIONS, SIGN_OFF, Audit
from minima.record.tables import Table, Value
from parts.release_audit import figures
from parts.release_audit.case import Audited, of_state, states_of
from parts.release_audit.config import AS_BUILT, RECALIBRATED
from parts.release_audit.operating import ANSWERS, Operating
from parts.release_audit.systems import FAULTS, GRADED, SIZES

_MARKS = {OK: "OK", BLOCKED: "blocked", NOT_ANSWERABLE: "open"}
_NOTHING = "labels and scores alone"


def findings(
    found: Sequence[Audited],
    silent: Mapping[tuple[str, ...], Audit],
    operating: Operating,
    judged: Sequence[Judged],
    run: str,
) -> Findings:
    """What to print, and which files to write."""
    claims, verdicts = zip(*judged, strict=True)
    forest = claims_figure(verdicts, run, claims)
    drawn = {"mends": figures.mends(found), "operating": figures.operating(operating)}
    return Findings(
        tables={
            "mends": _mends(found),
            "silence": _silence(silent),
            "faults": _faults(operating),
            "sizes": _sizes(operating),
        },
        judged=judged,
        figures=drawn if forest is None else drawn | {"claims": forest},
        facts={"clean": dict(operating.clean)},
    )


def write_reports(folder: Path, found: Sequence[Audited]) -> list[Path]:
    """The audit of the first seed as built and as mended, in HTML and Markdown.

    Raises:
      DiskFull: no room.
    """
    paths = []
    for state, name in ((AS_BUILT, "as_built"), (RECALIBRATED, "mended")):
        each = of_state(found, state)[0]
        about = f"Renters who default within a year, {state}, seed {each.seed} (generated data)"
        shown = {"Confidence against accuracy": audit_figures.reliability_figure(each.evidence)}
        if (by_group := audit_figures.groups_figure(each.evidence)) is not None:
            shown["Outcomes by group"] = by_group
        paths += audit_report.write_report(folder / name, each.found, about, shown)
    return paths


def _mends(found: Sequence[Audited]) -> Table:
    rows: list[list[Value]] = []
    for state in states_of(found):
        there = of_state(found, state)
        rows.append(
            [
                state,
                _mean(100 * each.found.accuracy for each in there),
                _mean(100 * each.in_use for each in there),
                _mean(100 * each.elsewhere for each in there),
                _mean(100 * each.gap("selection_rate") for each in there),
                _mean(100 * each.gap("true_positive_rate") for each in there),
                *(_said([each.found.answer(question) for each in there]) for question in QUESTIONS),
                _said([each.found.verdict for each in there]),
            ]
        )
    n = len(of_state(found, AS_BUILT))
    return Table(
        f"the renter model, mend by mend: accuracies and gaps between origins in % and points, "
        f"means over {n} seeds; answers with how many seeds",
        (
            *(
                "state",
                "test_accuracy",
                "in_use",
                "elsewhere",
                "selection_gap",
                "true_positive_gap",
            ),
            *QUESTIONS,
            "verdict",
        ),
        rows,
        notes=("each state has all mends of those above; elsewhere: the seven cities to come",),
    )


def _silence(silent: Mapping[tuple[str, ...], Audit]) -> Table:
    return Table(
        "a sound model with some of the evidence, and what the audit says",
        ("evidence", *QUESTIONS, "verdict"),
        [
            [
                ", ".join(there) or _NOTHING,
                *(_MARKS[each.answer(question)] for question in QUESTIONS),
                each.verdict,
            ]
            for there, each in silent.items()
        ],
    )


def _faults(operating: Operating) -> Table:
    return Table(
        f"planted faults: how often their own question blocked them; clean systems: "
        f"{operating.clean.get(SIGN_OFF, 0)} of {sum(operating.clean.values())} signed off",
        ("fault", "question", "systems", "blocked"),
        [
            [
                fault.name,
                fault.question,
                operating.faults[fault.name][1],
                operating.faults[fault.name][0],
            ]
            for fault in FAULTS
        ],
    )


def _sizes(operating: Operating) -> Table:
    rows: list[list[Value]] = []
    for graded in GRADED:
        for size, counts in zip(SIZES, operating.curves[graded.name], strict=True):
            answers = [counts.get(answer, 0) for answer in ANSWERS]
            rows.append([graded.name, size, size * graded.limit, *answers])
    return Table(
        "faults of rising size: what their question answered",
        ("fault", "size_in_limits", "size", "ok", "blocked", "not_answerable"),
        rows,
    )


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _said(answers: list[str]) -> str:
    """The commonest answer, and of how many seeds."""
    commonest = max(sorted(set(answers)), key=answers.count)
    return f"{_MARKS.get(commonest, commonest)} {answers.count(commonest)}/{len(answers)}"
