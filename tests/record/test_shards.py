"""How shards are written, and where they are."""

import pytest

from minima.record.shards import Shard, find_shards, parse_shard


def test_a_shard_reads_back_and_has_a_folder(tmp_path):
    assert parse_shard(" 3/16 ") == Shard(3, 16)
    assert str(Shard(3, 16)) == "3/16"
    assert Shard(3, 16).directory(tmp_path) == tmp_path / "shards" / "3-of-16"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("3", "index/count, such as 0/16"),
        ("3/", "index/count"),
        ("-1/3", "index/count"),
        ("1/3/5", "index/count"),
        ("a/b", "index/count"),
        ("3/3", "count from 0; of 3 the last is 2/3"),
        ("0/0", "count from 0"),
    ],
)
def test_what_is_no_shard_is_refused(text, says):
    with pytest.raises(ValueError, match=says):
        parse_shard(text)


def test_shards_are_found_in_order_and_nothing_else(tmp_path):
    assert find_shards(tmp_path) == []
    for name in ("10-of-12", "2-of-12", "1-of-2", "2-of-2", "x-of-2", "1-of-2b"):
        (tmp_path / "shards" / name).mkdir(parents=True)
    (tmp_path / "shards" / "0-of-2").write_text("no folder")
    found = [(str(shard), path.name) for shard, path in find_shards(tmp_path)]
    assert found == [("1/2", "1-of-2"), ("2/12", "2-of-12"), ("10/12", "10-of-12")]
