import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax
import ml_dtypes
import numpy as np
import pytest

from minima.record.checkpoints import Checkpoints
from minima.runtime.errors import UserError

# Orbax closes its event loop while TensorStore still reads the other arrays of a damaged step; what
# those answer later is reported as an exception that nobody could catch.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class State(NamedTuple):
    params: dict
    count: np.ndarray


def make_tree(seed=0):
    random = np.random.default_rng(seed)
    bits = random.integers(0, 2**32, 300, dtype=np.uint32)  # NaNs with payloads among them
    params = {
        "float32": bits.view(np.float32).reshape(3, 100),
        "float64": bits.view(np.float64),
        "dot.slash/key": random.integers(0, 9, (2, 2)).astype(np.int32),
        "empty": np.zeros((0, 3), np.float32),
        "half": random.normal(size=5).astype(ml_dtypes.bfloat16),
    }
    return [State(params, np.uint32(seed)), (np.array([True, False]), np.array(False))]


def abstract_of(tree):
    # ShapeDtypeStruct keeps float64 even where x64 is off.
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), np.asarray(x).dtype), tree)


def assert_same_bits(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()


def largest_file(directory: Path) -> Path:
    return max((p for p in directory.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


@pytest.fixture
def saved(tmp_path):
    with Checkpoints(tmp_path / "c") as checkpoints:
        for step in (10, 20):
            checkpoints.save(step, make_tree(step), {"step": step, "lanes": [3, 1]})
    return tmp_path / "c"


def test_bits_structure_and_meta_come_back(saved):
    with Checkpoints(saved) as checkpoints:
        step, tree, meta = checkpoints.restore(abstract_of(make_tree()))
    assert (step, meta) == (20, {"step": 20, "lanes": [3, 1]})
    assert isinstance(tree[0], State)
    assert_same_bits(tree, make_tree(20))


def test_without_a_structure_the_tree_is_flat(saved):
    with Checkpoints(saved) as checkpoints:
        _, tree, _ = checkpoints.restore()
    assert_same_bits(tree["[0].params['float32']"], make_tree(20)[0].params["float32"])
    assert len(tree) == len(jax.tree.leaves(make_tree()))


def test_nothing_saved_is_none(tmp_path):
    with Checkpoints(tmp_path / "c") as checkpoints:
        assert checkpoints.restore() is None


def test_only_the_newest_are_kept(saved):
    with Checkpoints(saved) as checkpoints:
        checkpoints.save(30, make_tree(30), {})
    assert sorted(name for name in os.listdir(saved) if name.isdigit()) == ["20", "30"]


def test_the_newest_step_may_be_saved_again_but_not_an_older_one(saved):
    with Checkpoints(saved) as checkpoints:
        checkpoints.save(20, make_tree(20), {})
        with pytest.raises(ValueError, match="before the newest checkpoint, 20"):
            checkpoints.save(15, make_tree(15), {})


def test_overwriting_the_arrays_after_save_does_not_leak_in(tmp_path):
    array = np.ones((64, 1 << 14), np.float32)
    with Checkpoints(tmp_path / "c") as checkpoints:
        checkpoints.save(1, {"a": array}, {})
        array[:] = 2
        checkpoints.wait()
        _, tree, _ = checkpoints.restore()
    assert (tree["['a']"] == 1).all()


def flip_a_byte(step: Path):
    path = largest_file(step / "state")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def flip_a_digit_of_the_record(step: Path):
    path = largest_file(step / "record")
    path.write_bytes(path.read_bytes().replace(b"[3, 1]", b"[3, 2]"))


def truncate(step: Path):
    path = largest_file(step / "state")
    os.truncate(path, path.stat().st_size // 2)


def remove_data(step: Path):
    largest_file(step / "state").unlink()


def zero_manifest(step: Path):
    path = step / "state" / "manifest.ocdbt"
    path.write_bytes(bytes(path.stat().st_size))


def empty_directory(step: Path):
    shutil.rmtree(step)
    step.mkdir()


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte,
        flip_a_digit_of_the_record,
        truncate,
        remove_data,
        zero_manifest,
        empty_directory,
    ],
)
def test_a_damaged_step_is_skipped_with_a_warning(saved, damage, caplog):
    damage(saved / "20")
    with Checkpoints(saved) as checkpoints:
        step, tree, _ = checkpoints.restore(abstract_of(make_tree()))
        assert step == 10
        assert_same_bits(tree, make_tree(10))
        assert [r.message for r in caplog.records if "skipping step 20" in r.message]
        checkpoints.save(15, make_tree(15), {})
        checkpoints.save(20, make_tree(21), {})
    with Checkpoints(saved) as checkpoints:
        assert_same_bits(checkpoints.restore(abstract_of(make_tree()))[1], make_tree(21))
    assert "damaged-20" in os.listdir(saved)


def test_all_damaged_is_none(saved):
    flip_a_byte(saved / "10")
    flip_a_byte(saved / "20")
    with Checkpoints(saved) as checkpoints:
        assert checkpoints.restore() is None


@pytest.mark.parametrize("change", ["shape", "dtype", "name"])
def test_other_arrays_are_refused_not_skipped(saved, change):
    tree = make_tree()
    if change == "shape":
        tree[0].params["half"] = tree[0].params["half"][:2]
    elif change == "dtype":
        tree[0].params["half"] = tree[0].params["half"].astype(np.float16)
    else:
        tree[0].params["other"] = tree[0].params.pop("half")
    with Checkpoints(saved) as checkpoints:
        with pytest.raises(UserError, match=r"params\['half'\], bfloat16\[5\] there") as caught:
            checkpoints.restore(abstract_of(tree))
        assert "\n" not in str(caught.value)
    assert "20" in os.listdir(saved)


def test_orbax_keeps_quiet(tmp_path):
    script = (
        "import sys, logging; logging.basicConfig(level=logging.INFO)\n"
        "import numpy as np\n"
        "from minima.record.checkpoints import Checkpoints\n"
        "with Checkpoints(sys.argv[1]) as c:\n"
        "    c.save(1, {'a': np.ones(3)}, {}); c.restore()\n"
    )
    run = subprocess.run([sys.executable, "-c", script, tmp_path / "c"], capture_output=True)
    assert run.returncode == 0
    assert b"orbax" not in run.stderr.lower()
    assert b"checkpoint" not in run.stderr.lower()


_SAVE_FOREVER = """
import sys
import numpy as np
from minima.record.checkpoints import Checkpoints
with Checkpoints(sys.argv[1]) as checkpoints:
    found = checkpoints.restore()
    step = found[0] if found else 0
    while True:
        step += 1
        checkpoints.save(step, {"a": np.full((64, 4096), step, np.float32)}, {"step": step})
        print(step, flush=True)
"""


def test_a_kill_in_mid_save_leaves_the_last_whole_step(tmp_path):
    moments = random.Random(0)
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", _SAVE_FOREVER, tmp_path / "c"], stdout=subprocess.PIPE
        )
        with child, child.stdout as out:
            for _ in range(moments.randint(2, 4)):
                last = int(out.readline())
            time.sleep(moments.uniform(0, 0.1))
            child.send_signal(signal.SIGKILL)
        with Checkpoints(tmp_path / "c") as checkpoints:
            step, tree, meta = checkpoints.restore()
        assert step >= last - 1  # the save of `last` had begun, so the one before had ended
        assert meta == {"step": step}
        assert (tree["['a']"] == step).all()
    assert not [name for name in os.listdir(tmp_path / "c") if "damaged" in name]
