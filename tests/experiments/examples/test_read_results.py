import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from minima.record.run_directory import RunDirectory

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "experiments" / "examples" / "read_results.py"


def make_plane(*arguments):
    spec = spec_from_file_location("planes", ROOT / "tests" / "record" / "conftest.py")
    planes = module_from_spec(spec)
    spec.loader.exec_module(planes)
    return planes._make_plane(*arguments)


def test_a_user_can_copy_it(tmp_path):
    axes, cells = make_plane((16, 128), (0.01, 0.1, 3.0), 3)
    for cell in cells:
        if cell["cell"]["batch_size"] == 128 and cell["cell"]["seed"] == 2:
            cell["status"] = "collapsed"  # so that no rate trained every seed
    with RunDirectory.open(tmp_path, "sweep", "run", {}, "", axes) as run:
        for cell in cells[:-1]:  # and one has not run yet
            run.append_cell(cell)
    done = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, run.directory],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "agg"},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("batch size 16: 9")
    assert lines[0].endswith("% (n = 3) at learning rate 0.01")
    assert lines[1] == "batch size 128: no rate at which every seed trained"
    assert (tmp_path / "read_results.png").read_bytes().startswith(b"\x89PNG")
