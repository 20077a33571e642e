import pytest

import tpu
from minima.runtime.errors import UserError


@pytest.mark.parametrize(
    ("text", "hosts", "topology", "machine_type", "accelerator_type"),
    [
        ("v5e-1", 1, "1x1", "ct5lp-hightpu-1t", "v5litepod-1"),
        ("v5e-8", 1, "2x4", "ct5lp-hightpu-8t", "v5litepod-8"),
        ("v5e-16", 4, "4x4", "ct5lp-hightpu-4t", "v5litepod-16"),
        ("v6e-4", 1, "2x2", "ct6e-standard-4t", "v6e-4"),
        ("v6e-256", 64, "16x16", "ct6e-standard-4t", "v6e-256"),
    ],
)
def test_slices(text, hosts, topology, machine_type, accelerator_type):
    part = tpu.parse(text)
    assert (part.hosts, part.topology) == (hosts, topology)
    assert (part.machine_type, part.accelerator_type) == (machine_type, accelerator_type)
    rows, columns = map(int, topology.split("x"))
    assert rows * columns == part.hosts * part.chips_per_host


@pytest.mark.parametrize("text", ["v6e", "v6e-12", "v4-8", "gpu:1", ""])
def test_no_slice(text):
    with pytest.raises(UserError, match="write v5e or v6e"):
        tpu.parse(text)
