import json
import math
import subprocess
import sys

import pytest

from minima.record import provenance
from minima.record.run_directory import RunDirectory, config_hash
from minima.runtime.errors import UserError

CONFIG = {"learning_rates": (0.1, 0.2), "model": {"width": 8}, "target": math.inf}


def start(tmp_path, config=CONFIG, **arguments):
    return RunDirectory.open(tmp_path, "plane", "a1", config, "--seeds=3\n", **arguments)


def test_a_new_run_says_what_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_test")
    monkeypatch.setenv("JAX_TEST", "1")
    with start(tmp_path, axes={"seed": (0, 1)}) as run:
        info = run.info()
        assert run.path("run.flags").read_text() == "--seeds=3\n"
    assert run.directory == tmp_path / "plane" / "a1"
    assert info["schema_version"] == 1
    assert info["status"] == "running"
    assert info["config"]["learning_rates"] == [0.1, 0.2]
    assert info["config_sha256"] == config_hash(CONFIG)
    assert info["axes"] == {"seed": [0, 1]}
    assert info["argv"] == sys.argv
    assert info["environment"]["XLA_FLAGS"] == "--xla_test"
    assert info["environment"]["JAX_TEST"] == "1"
    assert set(info["versions"]) >= {"minima", "jax", "jaxlib", "flax", "optax", "orbax", "numpy"}
    assert info["started"].endswith("+00:00")
    assert info["resumes"] == 0


def test_resuming_keeps_the_start_and_counts(tmp_path, make_cell):
    with start(tmp_path) as run:
        run.append_cell(make_cell())
        run.update_info(status="complete", started="2020-01-01T00:00:00+00:00", loss=math.nan)
    with start(tmp_path) as run:
        info = run.info()
        assert (info["resumes"], info["started"]) == (1, "2020-01-01T00:00:00+00:00")
        assert (info["status"], info["loss"]) == ("running", None)
        assert "versions" in info["last_resume"]
        assert run.cells() == [make_cell()]


def test_another_config_is_refused_by_name(tmp_path):
    start(tmp_path).close()
    other = {**CONFIG, "model": {"width": 9}, "extra": 1}
    with pytest.raises(UserError) as caught:
        start(tmp_path, other)
    message = str(caught.value)
    assert "model.width: 8 there, 9 here" in message
    assert "extra: None there, 1 here" in message
    assert "learning_rates" not in message
    assert "\n" not in message
    start(tmp_path).close()  # the refusal let go of the lock


def test_the_hash_ignores_order_and_tells_infinity_from_nothing():
    assert config_hash({"a": 1, "b": (2,)}) == config_hash({"b": [2], "a": 1})
    assert config_hash({"a": math.inf}) != config_hash({"a": None})


_SECOND = """
import sys
from minima.record.run_directory import RunDirectory
from minima.runtime.errors import UserError
try:
    RunDirectory.open(sys.argv[1], "plane", "a1", {}, "")
except UserError as error:
    print(error)
"""


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path):
    import os

    with start(tmp_path):
        out = subprocess.run(
            [sys.executable, "-c", _SECOND, tmp_path], capture_output=True, text=True, check=True
        )
    assert f"plane/a1 is in use by process {os.getpid()}" in out.stdout
    run = start(tmp_path)
    run.close()
    run.close()


def test_opening_cuts_a_torn_line_before_anything_is_appended(tmp_path, make_cell):
    with start(tmp_path) as run:
        run.append_cell(make_cell(seed=0))
        with open(run.path("cells.jsonl"), "ab") as file:
            file.write(b'{"cell": {"see')
    with start(tmp_path) as run:
        run.append_cell(make_cell(seed=1))
        assert run.cells() == [make_cell(seed=0), make_cell(seed=1)]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_damaged_run_json_is_a_users_error(tmp_path, text):
    run = start(tmp_path)
    run.close()
    run.path("run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json is damaged"):
        start(tmp_path)


def test_a_newer_schema_is_refused(tmp_path):
    with start(tmp_path) as run:
        run.path("run.json").write_text(json.dumps({"schema_version": 99}))
        with pytest.raises(UserError, match="upgrade minima"):
            run.info()


def test_an_impossible_workdir_is_a_users_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="choose another workdir"):
        start(tmp_path / "file")


def test_git_never_fails_a_run(tmp_path, monkeypatch):
    nothing = {"commit": None, "dirty": None}
    assert provenance.git_state(tmp_path) == nothing
    monkeypatch.setenv("PATH", "")
    assert provenance.git_state(tmp_path) == nothing


def test_git_names_commit_and_dirt(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True)

    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "x")
    state = provenance.git_state(tmp_path)
    assert len(state["commit"]) == 40
    assert state["dirty"] is False
    (tmp_path / "a").write_text("2")
    assert provenance.git_state(tmp_path)["dirty"] is True
