import pytest

from flagship_config import BRANCHES, format_branches, parse_branches


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
    assert parse_branches(text) == names
    assert parse_branches(format_branches(names)) == names


def test_an_unknown_branch_is_named():
    with pytest.raises(ValueError, match="'update' is none of updates, schedules, infinite"):
        parse_branches("update")
