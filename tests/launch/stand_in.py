"""Keeps a launcher's contract without training anything: STAND_IN says what its shards end with.

STAND_IN is a folder; a shard writes there the arguments that it got, one file per start, and ends
with the exit code that it finds in the file `codes-<shard>`, a line per start, 0 where there is
none left. With TOGETHER=N it waits until N processes are there, and each leaves a note of the GPUs
that it sees. Process P of a group takes as many seconds to end as the file `slow-P` says.
"""

import json
import os
import sys
import time
from pathlib import Path


def main(arguments: list[str]) -> int:
    flags = dict(word.lstrip("-").partition("=")[::2] for word in arguments)
    if "bad" in flags:
        print("error: --bad: a flag that is wrong", file=sys.stderr)
        return 2
    if "only_check_args" in flags:
        return 0
    shard = flags.get("shard", "all").replace("/", "-of-")
    folder = Path(os.environ["STAND_IN"])
    starts = len(list(folder.glob(f"started-{shard}-*")))
    (folder / f"started-{shard}-{starts}.json").write_text(json.dumps(arguments))
    if "TOGETHER" in os.environ:
        note_gpus(folder, int(os.environ["TOGETHER"]))
    codes = folder / f"codes-{shard}"
    planned = codes.read_text().split() if codes.exists() else []
    code = int(planned[starts]) if starts < len(planned) else 0
    slow = folder / f"slow-{os.environ.get('SLURM_PROCID')}"
    time.sleep(float(slow.read_text()) if slow.exists() else 0)
    if code == 0 and "shard" in flags:
        run = Path(flags["workdir"]) / "stand_in" / "run" / "shards" / shard
        run.mkdir(parents=True, exist_ok=True)
        (run / "cells.jsonl").touch()
        (run / "run.json").write_text(json.dumps({"schema_version": 1, "status": "complete"}))
    return code


def note_gpus(folder: Path, together: int) -> None:
    names = ("SLURMD_NODENAME", "CUDA_VISIBLE_DEVICES", "SLURM_LOCALID", "SLURM_NTASKS")
    name = f"gpus-{os.environ['SLURM_JOB_ID']}-{os.environ['SLURM_PROCID']}.json"
    (folder / name).write_text(json.dumps([os.environ.get(name) for name in names]))
    end = time.monotonic() + 30
    while len(list(folder.glob("gpus-*"))) < together and time.monotonic() < end:
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
