"""The audit in words: a few lines for the terminal, and a report in Markdown and HTML."""

import base64
import html
from collections.abc import Iterator, Mapping
from pathlib import Path

from minima.evaluation.audit import (
    BLOCKED,
    NOT_ANSWERABLE,
    OK,
    QUESTIONS,
    SIGN_OFF,
    Audit,
    Finding,
)
from minima.record.figure_style import Picture
from minima.record.files import write_atomically

_ORDER = (BLOCKED, NOT_ANSWERABLE, OK)
_COLOURS = {SIGN_OFF: "#009e73", OK: "#009e73", BLOCKED: "#d55e00", NOT_ANSWERABLE: "#b07c00"}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem;
       color: #1a1a1a; background: #fff; }
table { border-collapse: collapse; table-layout: fixed; width: 100%; margin: .5rem 0 1.5rem;
        font-size: .9rem; }
th, td { border-bottom: 1px solid #ddd; padding: .35rem .6rem; text-align: left;
         vertical-align: top; }
table.checks th:nth-child(1) { width: 14%; }
table.checks th:nth-child(2) { width: 20%; }
table.checks th:nth-child(3) { width: 34%; }
table.answers { width: auto; margin-bottom: 2.5rem; }
img { display: block; max-width: 100%; margin: 2.5rem 0; }
"""


def lines(found: Audit) -> Iterator[str]:
    """The verdict, each question's answer, and every finding, the worst first."""
    accuracy = f"{100 * found.accuracy:.1f} %"
    yield f"{found.verdict}: {found.examples:,} test examples, accuracy {accuracy}"
    for key, question in QUESTIONS.items():
        yield f"{found.answer(key):<15} {question}"
        for finding in _of(found, key):
            yield f"{'':<15} {finding.verdict}: {finding.check}: {finding.evidence}"
            if finding.needed:
                yield f"{'':<15}   -> {finding.needed}"


def markdown(found: Audit, about: str, figures: Mapping[str, Picture] | None = None) -> str:
    """The report in GitHub's Markdown; figures are inside, as data.

    Args:
      found: the audit.
      about: what was audited, in a line.
      figures: by title.
    """
    parts = [f"# Release audit: {found.verdict}", _summary(found, about)]
    answers = [f"| {_cell(text)} | **{found.answer(key)}** |" for key, text in QUESTIONS.items()]
    parts.append("\n".join(["| question | answer |", "|---|---|", *answers]))
    for key, question in QUESTIONS.items():
        parts.append(f"## {question}\n\n**{found.answer(key)}**")
        parts.append(_table(_of(found, key)))
    for title, picture in (figures or {}).items():
        parts.append(f"![{title}]({_data(picture)})")
    return "\n\n".join(parts) + "\n"


def to_html(found: Audit, about: str, figures: Mapping[str, Picture] | None = None) -> str:
    """The report as one page, figures inside; see `markdown`."""
    title = f"Release audit: {found.verdict}"
    body = [f"<h1>Release audit: {_mark(found.verdict)}</h1>"]
    body.append(f"<p>{html.escape(_summary(found, about))}</p>")
    answers = "".join(
        f"<tr><td>{html.escape(text)}</td><td>{_mark(found.answer(key))}</td></tr>"
        for key, text in QUESTIONS.items()
    )
    body.append(f'<table class="answers">{answers}</table>')
    for key, question in QUESTIONS.items():
        body.append(f"<h2>{html.escape(question)}</h2><p>{_mark(found.answer(key))}</p>")
        rows = "".join(
            f"<tr><td>{_mark(each.verdict)}</td><td>{html.escape(each.check)}</td>"
            f"<td>{html.escape(each.evidence)}</td><td>{html.escape(each.needed)}</td></tr>"
            for each in _of(found, key)
        )
        body.append(
            '<table class="checks"><tr><th>verdict</th><th>check</th><th>evidence</th>'
            f"<th>what is needed</th></tr>{rows}</table>"
        )
    for name, picture in (figures or {}).items():
        alt = html.escape(name)
        body.append(f'<img alt="{alt}" src="{_data(picture)}">')
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def write_report(
    folder: Path, found: Audit, about: str, figures: Mapping[str, Picture] | None = None
) -> list[Path]:
    """Writes audit.md and audit.html into a folder; says where.

    Raises:
      DiskFull: no room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "audit.html": to_html(found, about, figures),
        "audit.md": markdown(found, about, figures),
    }
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return [folder / name for name in texts]


def _summary(found: Audit, about: str) -> str:
    blocked, open_ones = len(found.reasons(BLOCKED)), len(found.reasons(NOT_ANSWERABLE))
    return (
        f"{about}: {found.examples:,} test examples, accuracy {100 * found.accuracy:.1f} %. "
        f"{blocked} of {len(found.findings)} checks show a fault, {open_ones} can't be answered "
        "with these data. Limits are at 95 %; this report has counts and rates, no person's data."
    )


def _of(found: Audit, question: str) -> list[Finding]:
    mine = [each for each in found.findings if each.question == question]
    return sorted(mine, key=lambda each: _ORDER.index(each.verdict))


def _table(findings: list[Finding]) -> str:
    head = "| verdict | check | evidence | what is needed |\n|---|---|---|---|"
    rows = [
        " | ".join(_cell(text) for text in (f.verdict, f.check, f.evidence, f.needed))
        for f in findings
    ]
    return "\n".join([head, *(f"| {row} |" for row in rows)])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _mark(verdict: str) -> str:
    return f'<strong style="color:{_COLOURS[verdict]}">{verdict}</strong>'


def _data(picture: Picture) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"
