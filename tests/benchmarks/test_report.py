"""What the benchmark says, from raw numbers that are made up. Nothing here is timed."""

import json

import report
import run
from row import Row, Side

OURS = Side("minima", ("ours.py",))
PEER = Side("peer", ("peer.py",), peer=True)
ABOUT = {"kind": "Test CPU 2 cores", "cores": 2, "peak": 100e9}


def test_rows_have_names_of_their_own_and_commands_that_exist():
    rows = run.chosen([])
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        for side in (row.ours, *row.peers):
            assert (run.HERE.parent / side.command[0]).is_file()


def test_a_ratio_is_the_peers_figure_over_ours_run_by_run():
    row = Row("plane", "a plane", OURS, (PEER,), wanted=1.5, per="examples", flops=10**6, share=0.5)
    found = {"ours": [1e-5, 2e-5, 1e-5], "theirs": [2e-5, 2e-5, 3e-5], "peer": "peer"}
    texts = report.cells(row, found, ABOUT)
    assert texts["ratio"] == "2.00 (1.00 to 3.00)"
    assert texts["met"] == "yes"
    assert texts["ours"] == "100,000 examples/s"
    assert texts["share"].startswith("50%")  # 1e5 examples/s at 1 MFLOP of two cores' 200 GFLOP/s


def test_a_bound_is_held_by_the_seconds_themselves():
    row = Row("help", "--help", OURS, wanted=2.0)
    found = {"ours": [2.5, 2.25, 1.0], "theirs": [], "peer": ""}
    texts = report.cells(row, found, ABOUT)
    assert (texts["ours"], texts["met"]) == ("2.25 s", "no")


def test_the_table_shows_the_last_run_of_each_row_and_machine(tmp_path):
    def write(day, kind, seconds):
        rows = [{"row": "help", "ours": [seconds], "theirs": [], "peer": ""}]
        kept = {"date": day, "commit": "abc", "machine": ABOUT | {"kind": kind}, "rows": rows}
        (tmp_path / f"{day}-{kind}.json").write_text(json.dumps(kept))

    write("2026-01-01", "A", 1.0)
    write("2026-01-02", "A", 1.5)
    write("2026-01-01", "B", 9.0)
    report.write(tmp_path / "RESULTS.md", tmp_path)
    text = (tmp_path / "RESULTS.md").read_text()
    assert "## A" in text
    assert "## B" in text
    assert "1.50 s" in text
    assert "1.00 s" not in text
    assert "9.00 s" in text
