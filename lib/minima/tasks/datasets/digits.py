"""Handwritten digits of two sources in one form: a shift that nobody made up.

    digits      4,000 + 1,000 of MNIST's digits
    digits_uci  the same training set; tested on 1,797 digits that others wrote, UCI's

Both are 8×8 images of counts from 0 to 16, made alike (see files/NOTICE); what differs is who wrote
them, with what, and how they were scanned.
"""

from pathlib import Path

from minima.runtime.errors import UserError
from minima.tasks.datasets.arrays import NAMES, check_arrays
from minima.tasks.datasets.dataset import Dataset, assemble, sha256
from minima.tasks.datasets.npz import read_members

MNIST, UCI = "digits", "digits_uci"
EMBEDDED = Path(__file__).parent / "files" / "digits_8x8.npz"
MEMBERS = (*NAMES, "x_uci", "y_uci")
EMBEDDED_SHA256 = "5b6a478ae6ffbca27c092dac82082bc5169e13adc8586cce2d8325e8e4b77ca9"
_LICENCE = "MNIST's: CC BY-SA 3.0 (LeCun, Cortes & Burges)"


def load_digits(name: str, validation_fraction: float) -> Dataset:
    """Loads MNIST or UCI, float32 (n, 8, 8) in 0 .. 16.

    Raises UserError if the package's file is damaged or validation_fraction does not fit.
    """
    where = f"--dataset {name}: the package's file {EMBEDDED.name}"
    arrays = read_members(str(EMBEDDED), MEMBERS, where)
    if sha256(*arrays) != EMBEDDED_SHA256:
        raise UserError(f"{where} does not hold the bytes it was made with; reinstall minima")
    test = arrays[4:] if name == UCI else arrays[2:4]
    inputs, labels, test_inputs, test_labels = [*arrays[:2], *test]
    train, tested, num_classes = check_arrays(
        inputs.astype("f4"), labels, test_inputs.astype("f4"), test_labels, where=where
    )
    return assemble(
        name,
        train,
        tested,
        num_classes=num_classes,
        kind="image",
        validation_fraction=validation_fraction,
        licence=_LICENCE + ("; UCI's: CC BY 4.0 (Alpaydin & Kaynak)" if name == UCI else ""),
        source="embedded: 5,000 digits of MNIST at 8×8"
        + (", tested on optdigits' test set" if name == UCI else ""),
    )
