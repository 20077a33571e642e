"""From raw numbers to lines and tables."""

import json
import statistics
from pathlib import Path
from typing import Any

from row import Row

_HEAD = """# Benchmarks

Written by `make benchmark`; raw numbers are in `results/`. Each row ran us and the fastest of its
peers alternately. Ratios are peer over ours, above 1 where we are faster: the median and the range
of the paired runs. The share of peak counts the matrix products' floating-point operations (three
forward passes, less what reads the data) against the best single-precision matrix product that
XLA or PyTorch finds on one core, times the cores. Times leave out importing and compiling, unless
the row says start or whole commands.
"""


def ratios(found: dict[str, Any]) -> list[float]:
    """Peer over ours, run by run."""
    return [theirs / ours for ours, theirs in zip(found["ours"], found["theirs"], strict=True)]


def cells(row: Row, found: dict[str, Any], about: dict[str, Any]) -> dict[str, str]:
    """What a row's line says, by column."""
    ours = statistics.median(found["ours"])
    texts = {"row": row.title, "ours": _figure(ours, row.per), "peer": "", "ratio": "", "share": ""}
    if found["theirs"]:
        each = ratios(found)
        middle = statistics.median(each)
        theirs = _figure(statistics.median(found["theirs"]), row.per)
        texts["peer"] = f"{theirs} ({found['peer']})"
        texts["ratio"] = f"{middle:.2f} ({min(each):.2f} to {max(each):.2f})"
        met = middle >= row.wanted
        texts["wanted"] = f"≥ {row.wanted:.3g}"
    else:
        met = ours <= row.wanted
        texts["wanted"] = f"≤ {row.wanted:.3g} s"
    if row.flops:
        share = row.flops / ours / about["peak"] / about["cores"]
        texts["share"] = f"{share:.0%}"
        if row.share:
            texts["share"] += f" (wanted {row.share:.0%})"
    return texts | {"met": "yes" if met else "no"}


def line(row: Row, found: dict[str, Any], about: dict[str, Any]) -> str:
    """A row for the terminal."""
    texts = cells(row, found, about)
    parts = [f"{row.name}: {texts['row']}", f"  ours {texts['ours']}"]
    if texts["peer"]:
        parts.append(f"  peer {texts['peer']}")
        parts.append(f"  ratio {texts['ratio']}")
    parts.append(f"  wanted {texts['wanted']}: {texts['met']}")
    if texts["share"]:
        parts.append(f"  share of peak {texts['share']}")
    return "\n".join(parts)


def write(path: Path, results: Path) -> None:
    """RESULTS.md: for every kind of machine, each row's last run."""
    from run import chosen

    rows = {row.name: row for row in chosen([])}
    last: dict[str, dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {}
    for file in sorted(results.glob("*.json")):
        run = json.loads(file.read_text())
        for found in run.get("rows", []):  # not in what scaling.py keeps
            last.setdefault(run["machine"]["kind"], {})[found["row"]] = (found, run)
    text = [_HEAD]
    for kind, found_of in sorted(last.items()):
        text.append(f"## {kind}\n")
        text.append("| what | ours | peer | ratio | wanted | met | share of peak | run |")
        text.append("|---|---|---|---|---|---|---|---|")
        for name in (name for name in rows if name in found_of):
            found, run = found_of[name]
            texts = cells(rows[name], found, run["machine"])
            columns = ("row", "ours", "peer", "ratio", "wanted", "met", "share")
            when = f"{run['date'][:10]}, {run['commit']}"
            text.append("| " + " | ".join([*(texts[c] for c in columns), when]) + " |")
        text.append("")
    path.write_text("\n".join(text))


def _figure(seconds: float, per: str) -> str:
    """Work per second where work is counted, seconds otherwise."""
    if not per:
        return f"{seconds:.2f} s"
    if per == "cells":
        return f"{1000 * seconds:.1f} ms a cell"
    return f"{1 / seconds:,.0f} {per}/s"
