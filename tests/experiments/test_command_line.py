import dataclasses
import importlib.util
import os
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from absl import flags

import command_line
from minima.runtime.errors import UserError

HERE = Path(__file__).parent
SCRIPT = HERE / "example_experiment.py"


def run(*arguments, cwd=HERE):
    """The example as a user runs it; the fields read are returncode, stdout and stderr."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1] / "experiments")}
    command = [sys.executable, SCRIPT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd)


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("example_experiment", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def parse(example):
    """Parse a command line of the example with flags of its own, not the process's."""
    values = flags.FlagValues()
    command_line.define(example.Config, example.PRESETS, values)

    def parse(*arguments):
        values.unparse_flags()
        return command_line.parse(["example", *arguments], values)

    return parse


def test_defaults(parse, example):
    assert parse() == example.Config()


def test_every_kind_of_leaf(parse, example):
    config = parse(
        "--batch_sizes=16:4096:x4",
        "--learning_rates=0.1,0.3",
        "--seeds=3",
        "--epochs=4",
        "--remat",
        "--width=16",
        "--note=a b",
        "--target=none",
        "--optimizer=adam",
        "--momentum=0.5",
        "--clip=1",
    )
    assert config == example.Config(
        batch_sizes=(16, 64, 256, 1024, 4096),
        learning_rates=(0.1, 0.3),
        seeds=(0, 1, 2),
        epochs=4,
        remat=True,
        width=16,
        note="a b",
        target=None,
        update=example.Optimizer("adam", 0.5, 1.0),
    )


def test_booleans_have_three_spellings(parse):
    assert parse("--remat").remat
    assert not parse("--noremat").remat
    assert not parse("--remat=false").remat


def test_explicit_beats_preset_beats_default(parse):
    assert parse("--preset=laptop").batch_sizes == (16, 64, 256)
    assert parse("--preset=laptop").width == 32
    assert parse("--preset=laptop", "--epochs=4").epochs == 4
    assert parse("--epochs=2", "--preset=laptop").epochs == 2  # explicit, though the default
    assert parse("--preset=wide").update.optimizer == "adam"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--learning_rates=abc", "'abc' is not a number; use e.g. 0.1,0.3 or 1e-3:1e0:log12"),
        ("--epochs=two", "--epochs=two: not a whole number"),
        ("--epochs=1.5", "not a whole number"),
        ("--momentum=nan", "not a number"),
        ("--optimizer=sdg", "--optimizer=sdg: choose one of sgd, adam"),
        ("--width=64", "--width=64: choose one of 16, 32"),
        ("--remat=maybe", "choose one of true, false"),
        ("--preset=lap", "--preset=lap: choose one of laptop, wide"),
        ("--learning_rate=1", "--learning_rate: unknown flag; did you mean --learning_rates?"),
        ("--batch-sizes=1", "did you mean --batch_sizes?"),
        ("--zzz", "--zzz: unknown flag; see --help"),
        ("--epochs", "Missing value for flag --epochs"),
        ("32", "'32' belongs to no flag; did you mean a comma list"),
        ("--noremat=1", "does not take an argument"),
        ("--flagfile=missing.flags", "--flagfile=missing.flags: No such file"),
        ("--flagfile=.", "--flagfile=.: Is a directory"),
    ],
)
def test_user_errors_say_what_to_do(parse, argument, message):
    with pytest.raises(UserError) as error:
        parse(argument)
    assert message in str(error.value)


def test_post_init_may_refuse(parse):
    with pytest.raises(UserError, match="--remat=true: needs --epochs=5 or fewer"):
        parse("--remat", "--epochs=6")


def test_flagfile_round_trips_random_configs(parse, example, tmp_path):
    rng = random.Random(0)
    texts = ["", " x", "a 'b' \"c\" $d", "-1", "--seeds=4", "# no", "a=b,c", "é", "\\n"]
    for _ in range(40):
        config = example.Config(
            batch_sizes=tuple(sorted(rng.sample(range(1, 999), 4))),
            learning_rates=tuple(sorted(10 ** rng.uniform(-9, 2) for _ in range(3))),
            seeds=tuple(range(rng.randint(1, 4))),
            epochs=rng.randint(-5, 5),
            remat=rng.random() < 0.5,
            note=rng.choice(texts),
            target=rng.choice([None, *texts]),
            update=example.Optimizer(
                rng.choice(["sgd", "adam"]), rng.random(), rng.choice([None, 1e-300, float("inf")])
            ),
        )
        (tmp_path / "run.flags").write_text(command_line.flagfile(config))
        # a preset beside it changes nothing: the file names every flag
        assert parse("--preset=wide", f"--flagfile={tmp_path / 'run.flags'}") == config


@pytest.mark.parametrize(
    "changes",
    [
        {"note": "a\nb"},
        {"note": "a "},
        {"note": "a\u2028b"},
        {"target": "None"},
        {"note": "\x00"},
        {"width": 5},
    ],
)
def test_flagfile_refuses_what_would_not_come_back(example, changes):
    with pytest.raises(UserError, match="flagfile"):
        command_line.flagfile(dataclasses.replace(example.Config(), **changes))


def test_flagfile_holds_only_the_experiments_flags(example):
    lines = command_line.flagfile(example.Config()).splitlines()
    assert lines[0] == "--batch_sizes=16,64"
    assert len(lines) == 12


@dataclass(frozen=True)
class Inner:
    size: int = 1


@dataclass(frozen=True)
class Needy:
    size: int
    level: Literal[1, 2] | None = None
    even: int = field(default=2, metadata={"check": lambda value: _even(value)})


@dataclass(frozen=True)
class Clash:
    size: int = 1
    inner: Inner = Inner()


@dataclass(frozen=True)
class Deep:
    inner: Inner = Inner(size=7)


def _even(value):
    if value % 2:
        raise UserError(f"{value} is odd; use {value + 1}")


def parse_as(config_class, *arguments, presets=None):
    values = flags.FlagValues()
    command_line.define(config_class, presets or {}, values)
    return command_line.parse(["example", *arguments], values)


def test_a_leaf_without_default_is_required():
    assert parse_as(Needy, "--size=3") == Needy(3)
    with pytest.raises(UserError, match="--size has no default"):
        parse_as(Needy)


def test_optional_literal_of_numbers():
    assert parse_as(Needy, "--size=3", "--level=2").level == 2
    assert parse_as(Needy, "--size=3", "--level=none").level is None
    with pytest.raises(UserError, match="choose one of 1, 2, none"):
        parse_as(Needy, "--size=3", "--level=3")


def test_a_check_refuses():
    with pytest.raises(UserError, match="--even=3: 3 is odd; use 4"):
        parse_as(Needy, "--size=3", "--even=3")


def test_a_nested_default_is_kept():
    assert parse_as(Deep) == Deep(Inner(7))


def test_two_leaves_of_one_name_are_refused():
    with pytest.raises(TypeError, match="two leaves are called size"):
        parse_as(Clash)


def test_a_preset_of_unknown_flags_is_refused():
    with pytest.raises(ValueError, match="sets what is no flag: sise"):
        parse_as(Deep, presets={"small": {"sise": 1}})


@pytest.mark.parametrize(
    ("arguments", "code", "out", "error"),
    [
        (["--epochs=3"], 0, "epochs=3", ""),
        (["--mode=three"], 3, "epochs=2", ""),
        (["--mode=modules"], 0, "[]", ""),
        (["--only_check_args"], 0, "", ""),
        (["--epochs=x"], 2, "", "error: --epochs=x: not a whole number; use e.g. 16\n"),
        (["--mode=user_error"], 2, "", "error: --target=x: there is no such thing\n"),
        (["--mode=interrupt"], 130, "", "interrupted\n"),
    ],
)
def test_exit_codes(arguments, code, out, error):
    result = run(*arguments)
    assert (result.returncode, result.stderr) == (code, error)
    assert out in result.stdout


def test_a_bug_keeps_its_traceback():
    result = run("--mode=bug")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "ValueError: a bug" in result.stderr


def test_help_shows_the_docstring_and_the_flags_with_defaults():
    result = run("--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("An experiment that only prints")
    assert "  --batch_sizes=16,64\n      one axis\n" in result.stdout
    assert "update: How the weights move.\n  --optimizer=sgd\n      the update" in result.stdout
    assert "  --preset=laptop\n      --batch_sizes=16,64,256 --epochs=1\n" in result.stdout
    assert "--verbosity" not in result.stdout


def test_helpfull_adds_absls_flags():
    result = run("--helpfull")
    assert result.returncode == 0
    assert "--verbosity" in result.stdout
    assert "--batch_sizes=16,64" in result.stdout


def test_flagfile_from_the_shell(example, tmp_path):
    config = example.Config(note='it\'s "quoted"', epochs=1)
    (tmp_path / "run.flags").write_text(command_line.flagfile(config))
    assert run("--flagfile=run.flags", cwd=tmp_path).stdout == f"{config}\n"
