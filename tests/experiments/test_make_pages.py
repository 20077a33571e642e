import re
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags

import make_pages
import page_text

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGES = ROOT / "experiments" / "pages"


def test_the_committed_pages_are_current(tmp_path):
    make_pages.write_pages(tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text() for path in PAGES.iterdir()}
    assert made == committed, "run make docs"


def test_every_experiment_has_a_page_and_the_readme_links_to_it():
    names = [path.stem for path in make_pages.experiments()]
    assert "batch_size_vs_learning_rate" in names
    assert not {"command_line", "config_leaves", "make_pages", "page_text"} & set(names)
    readme = (ROOT / "README.md").read_text()
    assert [name for name in names if f"(experiments/pages/{name}.md)" not in readme] == []


def test_pages_of_experiments_that_are_gone_go_too(tmp_path):
    (tmp_path / "gone.md").touch()
    make_pages.write_pages(tmp_path)
    assert sorted(p.stem for p in tmp_path.iterdir()) == [p.stem for p in make_pages.experiments()]


def test_links_lead_to_files():
    for page in PAGES.iterdir():
        links = re.findall(r"\]\((?!http)([^)]*)\)", page.read_text())
        assert links
        assert [link for link in links if not (page.parent / link).exists()] == []


def test_a_page_has_presets_as_written_and_flags_by_group():
    text = make_pages.page(HERE / "example_experiment.py")
    assert text.startswith("# An experiment that only prints the config it was given\n\n")
    assert "| `--preset=laptop` | `--batch_sizes=16:256:x4` `--epochs=1` |\n" in text
    assert "### General\n\n| flag | default | meaning |\n" in text
    assert "| `--batch_sizes` | `16,64` | one axis |\n" in text
    assert "| `--note` | empty |  |\n" in text
    assert "| `--width` | `32` | one of `16`, `32` |\n" in text
    assert "### Update\n\nHow the weights move.\n\n| flag" in text
    assert "| `--optimizer` | `sgd` | the update rule; one of `sgd`, `adam` |\n" in text


def test_making_pages_defines_no_flag_and_leaves_no_module():
    before = set(flags.FLAGS)
    make_pages.page(HERE / "example_experiment.py")
    assert set(flags.FLAGS) == before
    assert not [name for name in sys.modules if "example_experiment" in name and "page" in name]


def test_a_required_flag(tmp_path):
    script = tmp_path / "one.py"
    script.write_text(
        '"""Claim: it works."""\n'
        "from dataclasses import dataclass\n"
        "import command_line\n"
        "@dataclass\nclass Config:\n    size: int\n"
        "command_line.define(Config, {})\n"
    )
    text = make_pages.page(script)
    assert "| `--size` | required |  |\n" in text
    assert "Presets" not in text


def test_a_docstring_in_markdown():
    doc = """
Claim: small batches
are better.

Two lines
of a `code_*` <b>.

Source: somebody
(arXiv:1234.56789).

Command:   make it                  (= --preset=one)
           python it.py \\
             --flag
Cost:      laptop: a
           minute.
Outcome:   results.csv and more.
"""
    assert list(page_text.chapters(doc)) == [
        "**Claim.** Small batches\nare better.",
        "Two lines\nof a `code_*` \\<b>.",
        "**Source.** Somebody\n([arXiv:1234.56789](https://arxiv.org/abs/1234.56789)).",
        "## Command",
        "```\nmake it  # = --preset=one\npython it.py \\\n  --flag\n```",
        "## Cost",
        "Laptop: a\nminute.",
        "## Outcome",
        "results.csv and more.",
    ]


@pytest.mark.parametrize(
    ("text", "escaped"), [("a_b >= 1", "a_b >= 1"), ("x|y*[z]", r"x\|y\*\[z\]"), ("\\", r"\\")]
)
def test_letters_that_mean_something_in_markdown(text, escaped):
    assert page_text.escape(text) == escaped


def test_jax_stays_away(tmp_path):
    code = (
        "import sys, pathlib, make_pages; make_pages.write_pages(pathlib.Path(sys.argv[1]));"
        "sys.exit('jax' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT / "experiments")
