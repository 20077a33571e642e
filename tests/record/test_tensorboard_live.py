"""A real TensorBoard and a real browser: does a sweep of 200 cells show, and soon?"""

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pytest
from matplotlib.image import imread

from minima.record.board import Board
from minima.record.run_directory import RunDirectory

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
BATCHES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
RATES = tuple(float(f"{rate:.6g}") for rate in np.logspace(-3, 0, 10))
STATUSES = ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING", "STATUS_UNKNOWN"]

pytestmark = pytest.mark.slow


class Server:
    """A TensorBoard of its own, on a free port of this machine."""

    def __init__(self, logdir):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            self.port = free.getsockname()[1]
        self.started = time.monotonic()
        tool = Path(sys.executable).with_name("tensorboard")
        # The limit on open files as `make tensorboard` raises it.
        command = ["sh", "-c", 'ulimit -n "$(ulimit -Hn)"; exec "$@"', "sh"]
        command += [tool, "--host=localhost", f"--port={self.port}", f"--logdir={logdir}"]
        command += ["--reload_interval=1"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, **quiet)

    def get(self, path, body=None):
        request = Request(
            f"http://localhost:{self.port}/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urlopen(request, timeout=60) as response:
            return json.load(response)

    def wait_for_runs(self, count, seconds=60):
        while time.monotonic() - self.started < seconds:
            try:
                runs = self.get("data/runs")
            except OSError:
                runs = []
            if len(runs) >= count:
                return runs
            time.sleep(0.1)
        raise AssertionError(f"{len(runs)} of {count} runs after {seconds} s")

    def session_groups(self):
        body = {"startIndex": 0, "sliceSize": 1000, "allowedStatuses": STATUSES, "colParams": []}
        return self.get("data/plugin/hparams/session_groups", body)["sessionGroups"]

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="module")
def served(tmp_path_factory, request):
    """A finished sweep of 10 × 10 × 2 cells and the TensorBoard that looks at it."""
    axes, cells = _sweep(request)
    directory = tmp_path_factory.mktemp("runs")
    with RunDirectory.open(directory, "sweep", "run", {}, "", axes) as run:
        board = Board(run.directory, axes)
        board.start()
        for cell in cells:
            board.add(cell)
        board.finish()
        server = Server(run.path("tensorboard"))
        yield server, cells
        server.stop()


def _sweep(request):
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("planes", Path(__file__).with_name("conftest.py"))
    planes = module_from_spec(spec)
    spec.loader.exec_module(planes)
    return planes._make_plane(BATCHES, RATES, 2)


def test_all_runs_within_ten_seconds_and_every_row_has_its_metrics(served):
    server, cells = served
    runs = server.wait_for_runs(len(cells) + 1)
    assert time.monotonic() - server.started < 10
    assert len(runs) == 201
    groups = server.session_groups()
    assert len(groups) == 100
    assert sum(len(group["sessions"]) for group in groups) == 200
    statuses = [session["status"] for group in groups for session in group["sessions"]]
    diverged = sum(cell["status"] == "diverged" for cell in cells)
    assert statuses.count("STATUS_FAILURE") == diverged > 0
    assert statuses.count("STATUS_SUCCESS") == 200 - diverged
    for group in groups:
        _check_row(group, cells)


def _check_row(group, cells):
    """A row has its seeds' mean over those that trained, and the shares of the others."""
    point = group["hparams"]["batch_size"], group["hparams"]["learning_rate"]
    mine = [c for c in cells if (c["cell"]["batch_size"], c["cell"]["learning_rate"]) == point]
    shown = {value["name"]["tag"]: value["value"] for value in group["metricValues"]}
    trained = [c["test_accuracy"] for c in mine if c["status"] not in ("diverged", "collapsed")]
    assert shown["final/diverged"] == np.mean([c["status"] == "diverged" for c in mine])
    if trained:
        assert shown["final/test_accuracy"] == pytest.approx(np.mean(trained))
    else:
        assert "final/test_accuracy" not in shown


def test_a_sweep_over_the_shoulder(tmp_path, make_plane):
    axes, cells = make_plane((16, 32), (0.01, 0.1), 2)
    with RunDirectory.open(tmp_path, "sweep", "run", {}, "", axes) as run:
        board = Board(run.directory, axes)
        board.start()
        server = Server(tmp_path)  # as with LOGDIR=runs
        try:
            server.wait_for_runs(1)
            board.add(cells[0])
            server.wait_for_runs(2)
            for cell in cells[1:]:
                board.add(cell)
            board.finish()
            runs = server.wait_for_runs(9)
            assert "sweep/run/tensorboard/bs=16,lr=0.01,seed=0" in runs
            assert len(server.session_groups()) == 4
        finally:
            server.stop()


@pytest.fixture
def browse(served, tmp_path):
    if CHROMIUM is None:
        pytest.skip("no chromium here (Debian's package, installed by .ci/run)")
    server, cells = served
    server.wait_for_runs(len(cells) + 1)

    def load(page, size="1600,1200"):
        """What the browser shows, float pixels [height, width, 3]."""
        picture = tmp_path / f"{page}.png"
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
        command += ["--no-first-run", "--disable-background-networking", "--disable-sync"]
        command += ["--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}"]
        command += [f"--window-size={size}", "--virtual-time-budget=30000"]
        # Without forceSVG a worker draws the curves, and the browser's virtual clock doesn't wait.
        url = f"http://localhost:{server.port}/?forceSVG=true#{page}"
        command += [f"--screenshot={picture}", url]
        subprocess.run(command, capture_output=True, check=True, timeout=120)
        return imread(picture)[..., :3]

    return load


def test_the_browser_shows_a_row_for_every_point(browse):
    # TensorBoard draws inside shadow roots, so what counts is what is to be seen. Text is dark, and
    # in the table's first columns each row is one line of it.
    pixels = browse("hparams", "1600,4300")
    dark = (pixels[:, 340:450].max(-1) < 0.45).any(-1)
    lines = np.flatnonzero(dark[1:] & ~dark[:-1])
    assert np.sum(np.diff(lines) > 20) >= 100


def test_the_browser_draws_heat_maps_and_curves(browse):
    pixels = browse("timeseries")
    assert _colourful(pixels[360:560, 380:700]) > 10_000  # a heat map
    assert _colourful(pixels[710:930, 410:810]) > 500  # curves


def _colourful(pixels):
    return int(np.sum(pixels.max(-1) - pixels.min(-1) > 0.3))
