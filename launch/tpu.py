"""Slices of v5e and v6e TPUs: what a number of chips is called, and how it is spread over hosts.

Sources, on cloud.google.com: topologies and machine types from "Plan TPUs in GKE"
(kubernetes-engine/docs/concepts/plan-tpus), "TPU v5e" and "TPU v6e" (tpu/docs/v5e, tpu/docs/v6e),
checked against the tables of Google's Terraform modules and of axlearn; runtimes from "TPU software
versions" (tpu/docs/runtimes). Eight chips are one host of eight, which GKE and TPU VMs both have;
GKE alone also knows two hosts of four.
"""

from dataclasses import dataclass

from minima.runtime.errors import UserError

_TOPOLOGIES = {
    1: "1x1", 4: "2x2", 8: "2x4", 16: "4x4", 32: "4x8", 64: "8x8", 128: "8x16", 256: "16x16",
}  # fmt: skip
_ON_ONE_HOST = 8


@dataclass(frozen=True)
class Generation:
    """What the two interfaces call a kind of TPU."""

    gke_accelerator: str
    machine_type: str  # of a GKE node, before the number of its chips
    accelerator_type: str  # of a TPU VM, before the number of chips of the slice
    runtime_version: str


GENERATIONS = {
    "v5e": Generation("tpu-v5-lite-podslice", "ct5lp-hightpu", "v5litepod", "v2-alpha-tpuv5-lite"),
    "v6e": Generation("tpu-v6e-slice", "ct6e-standard", "v6e", "v2-alpha-tpuv6e"),
}


@dataclass(frozen=True)
class Slice:
    """Chips that belong together, on one host or several."""

    generation: Generation
    chips: int

    @property
    def topology(self) -> str:
        """How the chips lie: `4x4`."""
        return _TOPOLOGIES[self.chips]

    @property
    def chips_per_host(self) -> int:
        """Chips of each host: four where there are several."""
        return self.chips if self.chips <= _ON_ONE_HOST else 4

    @property
    def hosts(self) -> int:
        """Machines, each with a process of its own."""
        return self.chips // self.chips_per_host

    @property
    def machine_type(self) -> str:
        """Of the nodes of a GKE node pool."""
        return f"{self.generation.machine_type}-{self.chips_per_host}t"

    @property
    def accelerator_type(self) -> str:
        """Of a TPU VM."""
        return f"{self.generation.accelerator_type}-{self.chips}"


def parse(text: str) -> Slice:
    """Reads `v6e-16`.

    Raises:
      UserError: there is no such slice; says which there are.
    """
    generation, _, chips = text.partition("-")
    if generation in GENERATIONS and chips.isdigit() and int(chips) in _TOPOLOGIES:
        return Slice(GENERATIONS[generation], int(chips))
    kinds, sizes = " or ".join(GENERATIONS), ", ".join(map(str, _TOPOLOGIES))
    raise UserError(
        f"--accelerator={text}: write {kinds}, a dash and the chips of a slice: {sizes}"
    )
