"""Writes pages/<name>.md for every experiment beside this file, from what its --help is made of.

A page is the script's docstring, its presets and its flags. Scripts are imported, never run, and
nothing imports JAX. `make docs` runs this; pages of experiments that are gone are removed.
"""

import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

import command_line
from config_leaves import REQUIRED, Leaf, leaves
from minima.record.files import write_atomically
from page_text import chapters, escape, sentence, span, table

HERE = Path(__file__).parent


def experiments() -> list[Path]:
    """The scripts in this folder that define a command line, by name."""
    calls = re.compile(r"^command_line\.define\(", re.MULTILINE)
    return [path for path in sorted(HERE.glob("*.py")) if calls.search(path.read_text())]


def write_pages(folder: Path = HERE / "pages") -> None:
    """Makes `folder` hold exactly the pages of the experiments."""
    folder.mkdir(exist_ok=True)
    pages = {f"{path.stem}.md": page(path) for path in experiments()}
    for name, text in pages.items():
        write_atomically(folder / name, text)
    for path in folder.glob("*.md"):
        if path.name not in pages:
            path.unlink()


def page(script: Path) -> str:
    """The page of one experiment, in GitHub's Markdown."""
    doc, config_class, presets = _defined_by(script)
    title, _, rest = doc.partition("\n")
    head, _, tail = title.rstrip(".").partition(": ")
    blocks = [f"# {head}", *([sentence(tail) + "."] if tail else [])]
    blocks += chapters(rest)
    found = leaves(config_class)
    blocks += _presets(presets, {leaf.name: leaf for leaf in found}) if presets else []
    blocks += _flags(found)
    blocks.append(f"Made by `make docs` from [`{script.name}`](../{script.name}).")
    return "\n\n".join(blocks) + "\n"


def _defined_by(script: Path) -> tuple[str, type, Mapping[str, Mapping[str, object]]]:
    """The script's docstring, and what it gives to `command_line.define`; defines no flag."""
    spec = importlib.util.spec_from_file_location(f"_page_of_{script.stem}", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their module up
    try:
        with mock.patch.object(command_line, "define") as define:
            spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    (config_class, presets), _ = define.call_args
    return (module.__doc__ or "").strip(), config_class, presets


def _presets(
    presets: Mapping[str, Mapping[str, object]], by_name: Mapping[str, Leaf]
) -> Iterator[str]:
    yield "## Presets"
    rows = []
    for name, preset in presets.items():
        texts = {k: v if isinstance(v, str) else by_name[k].write(v) for k, v in preset.items()}
        sets = " ".join(span(f"--{key}={text}") for key, text in texts.items())
        rows.append((span(f"--preset={name}"), sets or "the defaults below"))
    yield table(("preset", "sets"), rows)


def _flags(found: tuple[Leaf, ...]) -> Iterator[str]:
    yield "## Flags\n\nA flag that is given beats the preset, which beats the default."
    for group in dict.fromkeys(leaf.group for leaf in found):
        name, _, what = group.partition(": ")
        yield f"### {name.capitalize() or 'General'}" + (f"\n\n{what}" if what else "")
        mine = (leaf for leaf in found if leaf.group == group)
        rows = [(span(f"--{x.name}"), _default(x), _meaning(x)) for x in mine]
        yield table(("flag", "default", "meaning"), rows)


def _default(leaf: Leaf) -> str:
    if leaf.default is REQUIRED:
        return "required"
    text = leaf.write(leaf.default)
    return span(text) if text else "empty"


def _meaning(leaf: Leaf) -> str:
    choices = [*map(leaf.format, leaf.choices), *(["none"] if leaf.optional else [])]
    listed = f"one of {', '.join(map(span, choices))}" if leaf.choices else ""
    return "; ".join(filter(None, [escape(leaf.help), listed]))


if __name__ == "__main__":
    write_pages()
