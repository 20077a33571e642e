"""What `python -m minima gather` says: how a run and each of its shards stand, and what is missing.

Short for a thousand shards: those that are done are counted, and of the others the first are shown.
"""

import itertools
import json
import math
from collections.abc import Iterable, Iterator

from minima.record.cells import spell
from minima.record.gather import Gathered, Part

_SHOWN = 20
_CELLS_SHOWN = 5


def report(found: Gathered) -> str:
    """Some lines of text."""
    total, done = len(found.have), sum(found.have)
    lines = [("run", str(found.run))]
    lines += [("cells", f"{done:,} of {total:,}, {found.added:,} of them gathered now")]
    lines += [("shards", text) for text in _shards(found)]
    if not found.complete:
        lines += [("missing", text) for text in _missing(found)]
        lines += [("next", "start the missing shards again, or the command without --shard")]
    else:
        lines += [("next", "the command without --shard trains nothing and writes the results")]
    names = [name for name, _ in lines]
    heads = [name if name not in names[:i] else "" for i, name in enumerate(names)]
    return "\n".join(f"{head:<11}{text}" for head, (_, text) in zip(heads, lines, strict=True))


def _shards(found: Gathered) -> Iterator[str]:
    done = [part for part in found.parts if part.done]
    others = [part for part in found.parts if not part.done]
    if done:
        yield f"{_list(done)}: done"
    for part in others[:_SHOWN]:
        yield f"{part.shard}: {part.describe()}"
    if len(others) > _SHOWN:
        yield f"and {len(others) - _SHOWN} more that are not done"
    counts = sorted({part.shard.count for part in found.parts})
    for count in counts if not found.complete else []:
        here = {part.shard.index for part in found.parts if part.shard.count == count}
        absent = [index for index in range(count) if index not in here]
        if absent:
            yield f"{_ranges(absent)} of {count}: missing, never started here"
    layouts = {json.dumps(part.info.get("resolved")) for part in found.parts if part.finished}
    if len(layouts) > 1:
        yield "trained in different layouts: equal within the contract, not bit for bit"


def _missing(found: Gathered) -> Iterator[str]:
    names, sizes = list(found.axes), [len(values) for values in found.axes.values()]
    for number in itertools.islice(found.missing(), _CELLS_SHOWN):
        where = {}
        for name, size in zip(reversed(names), reversed(sizes), strict=True):
            number, place = divmod(number, size)
            where[name] = found.axes[name][place]
        yield spell({name: where[name] for name in names})
    left = math.prod(sizes) - sum(found.have) - _CELLS_SHOWN
    if left > 0:
        yield f"and {left:,} more"


def _list(parts: Iterable[Part]) -> str:
    by_count: dict[int, list[int]] = {}
    for part in parts:
        by_count.setdefault(part.shard.count, []).append(part.shard.index)
    return ", ".join(f"{_ranges(indices)} of {count}" for count, indices in by_count.items())


def _ranges(numbers: Iterable[int]) -> str:
    """Rising numbers, such as 0 to 3, 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join(" to ".join(map(str, run)) for run in runs)
