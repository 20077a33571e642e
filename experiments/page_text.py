"""Docstrings and tables in GitHub's Markdown, for `make_pages`."""

import re
import textwrap
from collections.abc import Iterator, Sequence

_LABEL = re.compile(r"([A-Z][a-z]+):(?:\s+|$)")
_CHAPTERS = ("Command", "Cost", "Outcome")  # get a heading; other labels stay in the text
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


def chapters(text: str) -> Iterator[str]:
    """A docstring's paragraphs and its labelled parts, such as `Source: …`."""
    parts: list[list[str]] = []
    for line in text.splitlines():
        if not line or _LABEL.match(line):
            parts.append([])
        if line:
            parts[-1].append(line)
    for part in filter(None, parts):
        label = _LABEL.match(part[0])
        if label is None:
            yield _prose(part)
            continue
        first = " " * label.end() + part[0][label.end() :]
        lines = textwrap.dedent("\n".join([first, *part[1:]])).strip("\n").splitlines()
        if label[1] not in _CHAPTERS:
            yield f"**{label[1]}.** {sentence(_prose(lines))}"
        else:
            yield f"## {label[1]}"
            yield _code(lines) if label[1] == "Command" else sentence(_prose(lines))


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of Markdown under a head."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def span(text: str) -> str:
    """Code within a line; in a table even there a bar must be escaped."""
    return f"`{text}`".replace("|", r"\|")


def escape(text: str) -> str:
    """A text that is meant letter by letter; between backticks it stays as it is."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if p[:1] == "`" else re.sub(r"([\\|<*\[\]])", r"\\\1", p) for p in parts)


def sentence(text: str) -> str:
    """The text with a capital, unless it begins with the name of a file."""
    return text if re.match(r"\w+\.\w", text) else text[:1].upper() + text[1:]


def _code(lines: list[str]) -> str:
    """A block to copy from: a remark in brackets at the end of a line becomes a comment."""
    return "\n".join(["```", *(re.sub(r"\s{2,}\((.*)\)$", r"  # \1", s) for s in lines), "```"])


def _prose(lines: list[str]) -> str:
    text = "\n".join(escape(line.strip()) for line in lines)
    return _ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
