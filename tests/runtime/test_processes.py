import http.server
import json
import threading

import pytest
from launched import Launched, free_port

from minima.runtime import processes
from minima.runtime.processes import visible_devices

SCRIPT = """
import json, sys
from pathlib import Path

import numpy as np

from minima.runtime import processes, transfers
from minima.runtime.errors import UserError
from minima.runtime.interrupts import StopRequest


def main():
    group = processes.join(lockstep=True)
    assert processes.join(lockstep=True) == group
    mine = group.is_first
    found = {"index": group.index, "count": group.count}
    found["first"] = processes.from_first(lambda: [group.index, {"a": 2.5}, None])
    found["agreed"] = processes.agreed(lambda: group.index)
    found["words"] = processes.meet(f"word {group.index}", StopRequest())
    try:
        processes.from_first(refuse)
    except UserError as error:
        found["error"] = str(error)
    tree = {
        "b": np.arange(6, dtype=np.float64).reshape(2, 3) * mine,
        "a": (np.full((), 7 * mine, np.int8), np.zeros((0, 4), np.float32), np.array([mine])),
    }
    transfers._PIECE_BYTES, transfers._BATCH_BYTES = 16, 40  # several of each
    sent = transfers.arrays_from_first(tree)
    found["arrays"] = [sent["b"].tolist(), *(x.tolist() for x in sent["a"])]
    found["kinds"] = [sent["b"].dtype.name, *(f"{x.dtype}{x.shape}" for x in sent["a"])]
    transfers.copy_from_first(Path("folder"), Path(f"copy-{group.index}"), frozenset({"mine"}))
    if sys.argv[1:] == ["fail"] and not mine:
        sys.exit(2)
    if sys.argv[1:] == ["fail"]:
        processes.meet("", StopRequest())
    Path(f"found-{group.index}.json").write_text(json.dumps(found))
    return 0


def refuse():
    raise UserError("--flag: wrong")


sys.exit(processes.together(main))
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def found(folder):
    return [json.loads((folder / f"found-{rank}.json").read_text()) for rank in (0, 1)]


def test_what_the_first_has_the_others_take(script, tmp_path):
    files = {"a": b"a", "d/b": bytes(range(256)), "d/e/empty": b"", "z": b"z" * 100}
    for name, content in (files | {"mine/lock": b"x"}).items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    with Launched([script], tmp_path, {}) as group:
        ended = group.wait()
    assert ended.codes == [0, 0], ended.err
    first, second = found(tmp_path)
    assert (first.pop("index"), second.pop("index")) == (0, 1)
    assert first == second
    assert first["count"] == 2
    assert first["first"] == [0, {"a": 2.5}, None]
    assert first["agreed"] == 0
    assert first["words"] == ["word 0", "word 1"]
    assert first["error"] == "--flag: wrong"
    assert first["arrays"] == [[[0, 1, 2], [3, 4, 5]], 7, [], [True]]
    assert first["kinds"] == ["float64", "int8()", "float32(0, 4)", "bool(1,)"]
    copy = tmp_path / "copy-1"
    names = [path.relative_to(copy) for path in copy.rglob("*") if path.is_file()]
    assert {str(name): (copy / name).read_bytes() for name in names} == files
    assert not (tmp_path / "copy-0").exists()


@pytest.mark.slow
def test_one_that_fails_ends_those_that_wait_for_it(script, tmp_path):
    (tmp_path / "folder").mkdir()
    with Launched([script, "fail"], tmp_path, {}) as group:
        ended = group.wait()
    assert ended.codes == [2, 2], ended.err
    assert "error: process 1 of 2 ended with exit code 2" in ended.err[0]
    assert not (tmp_path / "found-0.json").exists()


class Metadata(http.server.BaseHTTPRequestHandler):
    """As on a GKE node, whose metadata know nothing of the TPU environment."""

    def do_GET(self):
        asked = self.headers["Metadata-Flavor"] == "Google" and "attributes/" in self.path
        self.send_response(200 if asked else 403)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def test_gke_forms_a_group(script, tmp_path):
    (tmp_path / "folder").mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = str(free_port())

    def pod(rank, count):
        return {
            "JAX_FORCE_TPU_INIT": "1",
            "JAX_COORDINATOR_PORT": port,
            "TPU_WORKER_HOSTNAMES": ",".join(["localhost"] * count),
            "TPU_WORKER_ID": str(rank),
            "GCE_METADATA_IP": f"127.0.0.1:{server.server_port}",
        }

    try:
        with Launched([script], tmp_path, {}, task=pod) as group:
            ended = group.wait()
    finally:
        server.shutdown()
        server.server_close()
    assert ended.codes == [0, 0], ended.err
    assert [each["index"] for each in found(tmp_path)] == [0, 1]


@pytest.mark.parametrize(
    ("gpus", "tasks", "nodes", "takes"),
    [
        ("0,1,2,3", "2", "2", [0, 1, 2, 3]),  # alone on its node: all it sees
        ("3", "8", "2", [0]),  # --gpus-per-task: the one it is shown
        ("0,1,2,3", "8", "2", None),  # one each, by JAX's own rule
        ("", "2", "2", None),  # no GPUs
        ("0,1", None, None, None),  # no Slurm
    ],
)
def test_gpus_under_slurm(gpus, tasks, nodes, takes):
    told = {"CUDA_VISIBLE_DEVICES": gpus, "SLURM_STEP_NUM_TASKS": tasks}
    told["SLURM_STEP_NUM_NODES"] = nodes
    assert visible_devices({k: v for k, v in told.items() if v is not None}) == takes


def test_alone_nothing_is_asked_of_anybody():
    assert processes.group() == processes.Group(0, 1, False)
    assert processes.from_first(lambda: (1, 2)) == (1, 2)
    assert processes.together(lambda: None) is None
    with pytest.raises(KeyError):
        processes.together(lambda: {}["missing"])
