"""Signals of MNIST-1D's kind that change slowly: one dataset for each month, `mnist1d_month:9`.

Months 1 to STABLE are as MNIST-1D is; from then on shear and noise grow by equal steps until LAST.
Every month has 4,000 training and 1,000 test signals of its own, in the units of MNIST-1D: what
drifts would be standardised away in those of each month.
"""

import re
from dataclasses import replace

from minima.runtime.errors import UserError
from minima.tasks.datasets import mnist1d
from minima.tasks.datasets.dataset import Dataset, assemble

STABLE, LAST = 6, 12
_SEED = 1000  # of month 0, which is not one
# At the end of the drift; at its beginning they are MNIST-1D's.
_END = {"shear_scale": 3.0, "corr_noise_scale": 0.5, "iid_noise_scale": 0.08}


def settings(month: int) -> mnist1d.Settings:
    """How signals of a month, from 1 on, are drawn."""
    share = min(1.0, max(0, month - STABLE) / (LAST - STABLE))
    launch = mnist1d.Settings()
    drifted = {
        name: (1 - share) * getattr(launch, name) + share * end for name, end in _END.items()
    }
    return replace(launch, seed=_SEED + month, **drifted)


def load_month(text: str, validation_fraction: float) -> Dataset:
    """Makes a month's signals, float32 (n, T = 40).

    Raises UserError unless text is a whole number from 1 on and validation_fraction fits.
    """
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise UserError(f"--dataset 'mnist1d_month:{text}': a month is a whole number from 1 on")
    drawn = settings(int(text))
    train, test = mnist1d.generate(drawn, units=mnist1d.standardisation(mnist1d.Settings()))
    return assemble(
        f"mnist1d_month:{text}",
        train,
        test,
        num_classes=mnist1d.NUM_CLASSES,
        kind="signal",
        validation_fraction=validation_fraction,
        licence="Apache-2.0 (generator of github.com/greydanus/mnist1d, other settings)",
        source=f"generated, seed {drawn.seed}",
    )
