import pytest

from minima.landscape import panels
from minima.runtime.errors import UserError
from minima.sweep.config import RecordConfig, SweepConfig
from parts.batch_size_vs_learning_rate.config import (
    BRANCHES,
    PANELS,
    FlagshipConfig,
    LandscapeConfig,
    Names,
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("all", BRANCHES),
        ("none", ()),
        ("infinite,updates", ("updates", "infinite")),  # in the order they are trained
        (" schedules ", ("schedules",)),
    ],
)
def test_branches_read_and_print(text, names):
    flag = Names(BRANCHES)
    assert flag.parse(text) == names
    assert flag.parse(flag.format(names)) == names


def test_an_unknown_branch_is_named():
    with pytest.raises(ValueError, match="'update' is none of updates, schedules, infinite"):
        Names(BRANCHES).parse("update")


def test_the_panels_to_choose_from_are_those_there_are():
    assert tuple(panels.PANELS) == PANELS


def test_what_is_measured_must_be_kept():
    sweep = SweepConfig(record=RecordConfig(snapshots=0))
    FlagshipConfig(sweep)
    with pytest.raises(UserError, match="--snapshots=0: --measure"):
        FlagshipConfig(sweep, LandscapeConfig(measure=("noise",)))
