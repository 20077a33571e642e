"""What the flagship says at its end: the gap in parts, then every claim, failures first."""

import json
import math
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from minima.claims import ledger
from minima.claims.choosing import UndecidedError
from minima.claims.claim import FAILURES_FIRST, INCONCLUSIVE, Verdict, failures_first
from minima.claims.evidence import Evidence
from minima.claims.figures import all_figures, write_figures
from minima.claims.gap import BOTH, RATE, UNTREATED, UPDATES, Gap, SameLoss, at_same_loss, batch_gap
from minima.claims.power import detectable_effect
from minima.claims.protocol import can_branch, split_seeds
from minima.record.board import Board
from minima.record.files import write_atomically
from minima.statistics.intervals import Interval
from minima.sweep.plan import Plan
from minima.sweep.run import Prepared
from parts.batch_size_vs_learning_rate.config import BRANCHES

_TREATMENTS = {
    UNTREATED: "as the small batch",
    RATE: "tuned rate",
    UPDATES: "as many updates",
    BOTH: "both",
}
# Assumed before there are data, for the smallest gap that can be seen: how much accuracy varies
# from seed to seed, and on how many test examples two runs differ.
_SEED_SD, _DISAGREEMENT = 1.0, 0.2


def foreseen(plan: Plan, branches: tuple[str, ...]) -> Iterator[str]:
    """What the verdict will be able to tell, before anything is trained."""
    choosing, reporting = map(len, split_seeds(plan.config.grid.seeds))
    tests = plan.dataset.test.labels.size
    lead = f"verdict    {choosing} seeds choose rates, {reporting} report, on {tests:,} tests"
    if reporting < 5:
        yield f"{lead}; too few: 5 must report, so give --seeds=8 or more"
    else:
        sd = math.sqrt(_SEED_SD**2 + 1e4 * _DISAGREEMENT * reporting / tests)
        least = detectable_effect(reporting, sd)
        yield (
            f"{lead}: gaps below about {least:.1f} points won't be seen (if seeds vary by "
            f"{_SEED_SD:g} point and {100 * _DISAGREEMENT:g} % of the tests are at stake)"
        )
    asked = [name for name in BRANCHES if name in branches]
    left_out = [f"{name} ({can_branch(plan.config, name)})" for name in asked]
    left_out = [text for text in left_out if not text.endswith("()")]
    if left_out:
        yield f"warning    left out: {'; '.join(left_out)}"


def present(prepared: Prepared, evidence: Evidence, ids: tuple[str, ...] = ()) -> None:
    """The split and the verdicts on all claims, or on some, printed, written and drawn."""
    verdicts = ledger.judge(evidence)
    verdicts = [verdict for verdict in verdicts if not ids or verdict.claim in ids]
    gaps = dict(_gaps(evidence))
    print()
    for name, gap in gaps.items():
        print("\n".join(_gap_lines(name, gap)), end="\n\n")
    same_loss = _same_loss(evidence)
    if same_loss is not None:
        print(_same_loss_line(same_loss), end="\n\n")
    print("\n".join(_verdict_lines(verdicts)))
    for note in evidence.notes:
        print(f"left out: {note}")
    # A verdict on some claims leaves that on all of them alone.
    path = prepared.directory / f"verdict{''.join(f'-{claim}' for claim in ids)}.json"
    write_atomically(path, verdict_json(prepared, evidence, gaps, verdicts))
    print(f"verdict:  {path}")
    if ids:
        return
    pictures = all_figures(evidence, gaps, verdicts, prepared.run_id)
    write_figures(prepared.directory, pictures)
    if prepared.plan.config.record.tensorboard:
        images = {f"verdict/{name}": picture.png for name, picture in pictures.items()}
        Board(prepared.directory, dict(prepared.plan.grid.axes)).add_figures(images)
    print(f"figures:  {prepared.directory / 'figures'}: {', '.join(pictures)}")


def verdict_json(
    prepared: Prepared,
    evidence: Evidence,
    gaps: Mapping[str, Gap | str],
    verdicts: list[Verdict],
) -> str:
    """The same for a program to read. It holds no times: the same command writes the same bytes."""
    seeds = prepared.plan.config.grid.seeds
    content = {
        "run": prepared.run_id,
        "choosing_seeds": [seeds[place] for place in evidence.choosing],
        "reporting_seeds": [seeds[place] for place in evidence.reporting],
        "gaps": {name: _gap_json(gap) for name, gap in gaps.items()},
        "at_same_loss": _same_loss_json(_same_loss(evidence)),
        "verdicts": [json.loads(verdict.to_json()) for verdict in failures_first(verdicts)],
        "left_out": list(evidence.notes),
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _gaps(evidence: Evidence) -> Iterator[tuple[str, Gap | str]]:
    for name, infinite in (("finite data", False), ("infinite data", True)):
        if infinite and "infinite_epochs" not in evidence.planes:
            continue
        try:
            yield name, batch_gap(evidence, infinite)
        except UndecidedError as error:
            yield name, f"needs {error}"


def _gap_lines(name: str, gap: Gap | str) -> Iterator[str]:
    if isinstance(gap, str):
        yield f"gap between small and large batch, {name}: not split, it {gap}"
        return
    large = gap.large[BOTH].batch_size
    split = gap.split
    yield (
        f"test accuracy, {name}, in points: what batch size {large} lacks of batch size "
        f"{gap.small.batch_size} ({gap.small.reporting} seeds, {gap.num_test:,} test examples)"
    )
    rows = {"raw gap": split.raw_gap, "= wrong rate": split.parts["rate"]}
    rows |= {"+ too few updates": split.parts["updates"], "+ what is left": split.remainder}
    for label, interval in rows.items():
        yield f"  {label:<18} {_spell(interval)}"
    for order, steps in split.orders.items():
        parts = ", then ".join(f"{factor} {steps[factor].estimate:+.2f}" for factor in order)
        yield f"  in order: {parts}"
    together = next(iter(split.interactions.values()))
    yield f"  together beyond each alone: {_spell(together)}"
    for treatment, words in _TREATMENTS.items():
        cell = gap.large[treatment]
        yield f"  batch size {cell.batch_size}, {words}: rate {cell.rate:.3g}"
    for note in gap.notes:
        yield f"  note: {note}"


def _same_loss(evidence: Evidence) -> SameLoss | None:
    try:
        return at_same_loss(evidence)
    except UndecidedError:
        return None


def _same_loss_line(found: SameLoss) -> str:
    large = f"batch size {found.large.batch_size} at rate {found.large.rate:.3g}"
    return (
        f"at the same training loss (large over small: {found.ratio:.2f}), small less {large}: "
        f"{_spell(found.difference)} points"
    )


def _verdict_lines(verdicts: list[Verdict]) -> Iterator[str]:
    """Measured claims in full; of the others their names, since what they need is in the file."""
    counts = [(sum(v.verdict == name for v in verdicts), name) for name in FAILURES_FIRST]
    yield "claims, failures first: " + ", ".join(f"{n} {name}" for n, name in counts if n)
    measured = [v for v in verdicts if v.controls is not None or v.verdict != INCONCLUSIVE]
    for verdict in failures_first(measured):
        yield from _verdict_entry(verdict)
    if rest := [v.claim for v in verdicts if v not in measured]:
        text = f"not measured (verdict.json says what each needs): {', '.join(rest)}"
        yield textwrap.fill(text, 99, subsequent_indent="  ", break_on_hyphens=False)


def _verdict_entry(verdict: Verdict) -> Iterator[str]:
    claim = ledger.find(verdict.claim)
    texts = [f"{claim.sentence} [{claim.source}]"]
    if verdict.statistic is not None:
        found = f"{_spell(verdict.statistic)} {claim.unit}"
        texts.append(f"{found}, predicted {claim.prediction}")
    texts.append(verdict.reason + (f"; {verdict.enough}" if verdict.enough else ""))
    texts += [f"note: {note}" for note in verdict.notes]
    yield f"{verdict.verdict:<12} {verdict.claim}"
    for text in texts:
        lines = textwrap.wrap(text, 86, break_long_words=False, break_on_hyphens=False)
        yield textwrap.indent("\n".join(lines), " " * 13)


def _spell(interval: Interval) -> str:
    return f"{interval.estimate:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"


def _gap_json(gap: Gap | str) -> dict[str, Any]:
    if isinstance(gap, str):
        return {"not_split": gap}
    split = gap.split
    return {
        "small": gap.small.batch_size,
        "large": gap.large[BOTH].batch_size,
        "raw_gap": split.raw_gap.limits(),
        "parts": {name: part.limits() for name, part in split.parts.items()},
        "remainder": split.remainder.limits(),
        "orders": {
            " then ".join(order): {name: part.limits() for name, part in steps.items()}
            for order, steps in split.orders.items()
        },
        "interaction": next(iter(split.interactions.values())).limits(),
        "accuracy": {name: interval.limits() for name, interval in gap.accuracy.items()},
        "notes": list(gap.notes),
    }


def _same_loss_json(found: SameLoss | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "difference": found.difference.limits(),
        "training_loss_ratio": found.ratio,
        "learning_rate": found.large.rate,
    }
