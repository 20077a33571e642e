"""Rescue by a smaller batch: an unstable and an undertrained run, treated; and their memory.

Claim: a run that is unstable, or that generalises poorly, is repaired by a smaller batch and a rate
to match; and what is gained in memory by it can be had from accumulation as well.

Somebody goes from batch size 32 to 1024 (k = 32), and makes one of two mistakes. The unstable
patient scales its rate by k, and diverges for most seeds; the undertrained patient keeps the rate,
and makes too few updates. Each is treated for the same epochs with the smaller batch, at the same
rate, at a rate ÷ k and at a rate ÷ √k. In controls the batch stays and the rate alone is changed,
so that it shows what rescued a run: the batch or the rate. All are cells of one plane, paired by
seed; failed seeds count as guessing, and how many failed is said beside.

The rules, settled on seeds that the defaults leave out: a treatment is a rescue (PASS) if the 95 %
interval of its test accuracy less the patient's, over seeds and test examples, lies above 1 point;
PARTIAL if only above 0; FAIL if below 0, or below 1 point without reaching beyond, or if for
certain more than 10 % of the treatment's runs fail (exact limits); INCONCLUSIVE otherwise.
Likewise for the smaller batch less each control. Memory is the compiler's own plan of one update's
buffers: for a whole batch the cost of a further example must not depend on the batch size (exponent
1 ± 0.1); for accumulated microbatches the whole must not (0 ± 0.05). These two tolerances were
set with the numbers of two models at hand, which do not vary from run to run.

Source: Keskar et al. 2017 (arXiv:1609.04836), Goyal et al. 2017 (arXiv:1706.02677), Hoffer et al.
2017 (arXiv:1705.08741).

Command:   python experiments/batch_size_rescue.py
           python experiments/batch_size_rescue.py --large_batch=512 --unstable_rate=2.8
Cost:      100 runs of 40 epochs of an MLP on MNIST-1D: about a minute on two CPU cores;
           smoke: seconds.
Outcome:   a table of both patients, a verdict on each treatment and on what the batch does beyond
           the rate, failures first; figures/rescue.png, figures/memory.png, memory.csv,
           verdict.json, and results.csv and curves as every sweep has them.
"""

from typing import TYPE_CHECKING

import command_line
from minima import sweep
from parts.batch_size_rescue.config import PRESETS, RescueConfig
from training import print_plane, train

if TYPE_CHECKING:
    pass

EXPERIMENT = "batch_size_rescue"


def main(config: RescueConfig) -> int:
    """Plans, trains patients and treatments, measures memory, and judges."""
    # They bring JAX and SciPy, which --help does without.
    from minima.sweep.step_memory import accumulated, whole_batches
    from parts.batch_size_rescue.claims import judge_memory, judge_patient
    from parts.batch_size_rescue.patients import patients
    from parts.batch_size_rescue.report import announce, present, read

    # Plan: everything the user can get wrong is found here, before anything compiles.
    prepared = sweep.prepare(config.sweep(), EXPERIMENT)
    sick = patients(config.patients)
    print(sweep.describe(prepared.plan), flush=True)
    print(announce(sick), flush=True)
    if config.record.plan_only:
        print(f"run: {prepared.place} (not started: --plan_only)")
        return 0

    # Train: patients and treatments are cells of one plane, in one program.
    code = train(prepared, command_line.flagfile(config))
    if code is not None:
        return code
    print_plane(prepared)

    # Memory: one update, as the compiler plans its buffers; nothing is run.
    sizes = config.memory.memory_batch_sizes
    memory = whole_batches(prepared.plan, sizes), accumulated(prepared.plan, sizes)

    # Judge: is each patient sick, what rescues it, and is it the batch or the rate alone?
    evidence = read(prepared)
    judged = [each for patient in sick for each in judge_patient(patient, evidence)]
    judged += judge_memory(*memory)
    present(prepared, sick, evidence, memory, judged)
    print(f"run: {prepared.place}")
    return 0


command_line.define(RescueConfig, PRESETS)
if __name__ == "__main__":
    command_line.run(main)
