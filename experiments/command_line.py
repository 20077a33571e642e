"""From a frozen dataclass to a command line: one absl flag for every leaf.

    command_line.define(Config, PRESETS)
    if __name__ == "__main__":
        command_line.run(main)  # main(config) returns an exit code or None

A flag given explicitly (also in a --flagfile) beats the preset, which beats the field's default.
Leaves are int, float, str, bool, Literal[...] and `X | None`, or anything whose field says how to
read and write it: `field(default=..., metadata={"help", "parse", "format", "choices", "check"})`.
Whatever the user can fix is one line on stderr and exit code 2, or 75 where the disk is full or
a store does not answer; a real bug keeps its traceback.
"""

import difflib
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from absl import app, flags, logging

from config_leaves import REQUIRED, Leaf, build, choice, leaves
from minima.record.files import DiskFull, explained
from minima.record.mirrored import kept_up
from minima.record.remote import Unreachable
from minima.runtime.errors import UserError
from minima.runtime.interrupts import STOPPED_AND_SAVED, ends_with_its_reader
from minima.runtime.processes import together

Config = TypeVar("Config")
Result = TypeVar("Result")
Presets = Mapping[str, Mapping[str, object]]

USER_ERROR, INTERRUPTED = 2, 130
_HELP = {"-?", "-help", "--help", "-helpshort", "--helpshort"}
_HELP_FULL = {"-helpfull", "--helpfull"}
_ALSO = """
also: --flagfile=FILE reads flags from a file, one a line; --only_check_args stops after checking
them; --helpfull lists absl's own flags."""

_defined: dict[flags.FlagValues, tuple[type, Presets]] = {}


def define(
    config_class: type, presets: Presets, flag_values: flags.FlagValues = flags.FLAGS
) -> None:
    """Register a flag for each leaf of the class, and --preset where there are presets."""
    by_name = {leaf.name: leaf for leaf in leaves(config_class)}
    chosen = [choice("preset", tuple(presets), "a named set of flags")] if presets else []
    for leaf in (*chosen, *by_name.values()):
        # Under the script's name, as absl does for a main module's flags. absl never sees the
        # default: whether a flag is `present` decides between it, the preset and the default.
        flags.DEFINE(
            _Parser(leaf),
            leaf.name,
            None,
            leaf.described(),
            flag_values,
            module_name=sys.argv[0],
            boolean=leaf.type_name == "bool",
        )
    read = {name: _read_preset(name, preset, by_name) for name, preset in presets.items()}
    _defined[flag_values] = (config_class, read)


def parse(argv: Sequence[str], flag_values: flags.FlagValues = flags.FLAGS) -> Any:
    """Build the config that a command line asks for, or raise UserError."""
    config_class, presets = _defined[flag_values]
    _set_flags(argv, flag_values)
    preset = flag_values["preset"].value if presets else None
    values = dict(presets[preset]) if preset else {}
    for leaf in leaves(config_class):
        flag = flag_values[leaf.name]
        if flag.present:
            values[leaf.name] = flag.value
    try:
        return build(config_class, values)
    except ValueError as error:  # the words of the dataclass's own __post_init__
        raise UserError(str(error)) from error


def run(main: Callable[[Any], int | None]) -> NoReturn:
    """Parse sys.argv, call main(config) under absl's app, and leave with the right exit code."""

    def call(config: Any) -> int | None:
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)  # absl's app raised it, and Orbax is talkative
        return together(lambda: _or_exit(commanded, config))

    def commanded(config: Any) -> int | None:
        with ends_with_its_reader(), kept_up():
            return main(config)

    def parser(argv: Sequence[str]) -> Any:
        if (_HELP | _HELP_FULL) & set(argv):
            with ends_with_its_reader():
                print(_help(sys.modules[main.__module__].__doc__, bool(_HELP_FULL & set(argv))))
            sys.exit(0)
        return _or_exit(parse, argv)

    app.run(call, flags_parser=parser)
    raise AssertionError("absl's app leaves through sys.exit")


def flagfile(config: object) -> str:
    """Write the flags that repeat this config, one a line: `--flagfile` reads them back."""
    return "".join(f"--{leaf.name}={_line(leaf, config)}\n" for leaf in leaves(type(config)))


class _Parser(flags.ArgumentParser):
    """Let a leaf read its flag; absl turns its ValueError into `flag --name=text: message`."""

    def __init__(self, leaf: Leaf) -> None:
        super().__init__()
        self._leaf = leaf

    def parse(self, argument: str) -> Any:
        """Read the text after the equals sign."""
        return self._leaf.read(argument)

    def flag_type(self) -> str:
        """Name the type for --helpxml."""
        return self._leaf.type_name


def _read_preset(
    name: str, preset: Mapping[str, object], by_name: Mapping[str, Leaf]
) -> dict[str, object]:
    """A preset's values; text is read as it would be from the command line."""
    if unknown := set(preset) - set(by_name):
        raise ValueError(f"the preset {name} sets what is no flag: {', '.join(sorted(unknown))}")
    return {
        key: by_name[key].read(value) if isinstance(value, str) else by_name[key].checked(value)
        for key, value in preset.items()
    }


def _set_flags(argv: Sequence[str], flag_values: flags.FlagValues) -> None:
    """Let absl parse, and put its complaints into words that say what to do."""
    try:
        positional = flag_values(argv)[1:]
    except flags.UnrecognizedFlagError as error:
        raise UserError(f"--{error.flagname}: {_unknown(error.flagname, flag_values)}") from error
    except flags.CantOpenFlagFileError as error:
        cause = error.__context__
        assert isinstance(cause, OSError)
        raise UserError(f"--flagfile={cause.filename}: {cause.strerror}") from error
    except (flags.Error, ValueError) as error:
        raise UserError(str(error).removeprefix("flag ")) from error
    if positional:
        raise UserError(
            f"{positional[0]!r} belongs to no flag; did you mean a comma list, as in --name=1,2,3?"
        )


def _unknown(name: str, flag_values: flags.FlagValues) -> str:
    close = difflib.get_close_matches(name.replace("-", "_"), list(flag_values), n=1)
    return f"unknown flag; did you mean --{close[0]}?" if close else "unknown flag; see --help"


def _or_exit(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call, and turn the user's mistake or the user's Ctrl-C into one line and an exit code."""
    try:
        return function(*arguments)
    except UserError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        sys.exit(USER_ERROR)
    except Unreachable as error:
        print("error:", error, file=sys.stderr)
        sys.exit(STOPPED_AND_SAVED)
    except OSError as error:
        full = explained(error, Path(error.filename or "."))
        if not isinstance(full, DiskFull):
            raise
        print("error:", full.strerror, file=sys.stderr)
        sys.exit(STOPPED_AND_SAVED)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _line(leaf: Leaf, config: object) -> str:
    """A leaf's text, sure to survive absl's reading of a file: line by line, and stripped."""
    value = leaf.get(config)
    text = leaf.write(value)
    if not text.isprintable() or text != text.rstrip():
        raise UserError(f"--{leaf.name}={text!r}: no line break or closing space fits a flagfile")
    try:
        comes_back = leaf.read(text) == value
    except ValueError:
        comes_back = False
    if not comes_back:
        raise UserError(f"--{leaf.name}={text}: a flagfile would read it back as another value")
    return text


def _help(doc: str | None, full: bool) -> str:
    """The script's docstring and its flags with their defaults, as they would be typed."""
    config_class, presets = _defined[flags.FLAGS]
    lines, group = [(doc or "").strip(), "", "flags:"], ""
    for leaf in leaves(config_class):
        if leaf.group != group:
            group = leaf.group
            lines += ["", group]
        required = leaf.default is REQUIRED
        value = f"<{leaf.type_name}, required>" if required else leaf.write(leaf.default)
        lines += _entry(f"--{leaf.name}={value}", leaf.described())
    lines += ["", "presets:"] if presets else []
    by_name = {leaf.name: leaf for leaf in leaves(config_class)}
    for name, preset in presets.items():
        sets = (f"--{key}={by_name[key].write(value)}" for key, value in preset.items())
        lines += _entry(f"--preset={name}", " ".join(sets))
    modules = sorted(set(flags.FLAGS.flags_by_module_dict()) - {sys.argv[0]}) if full else []
    return "\n".join([*lines, _ALSO, *map(flags.FLAGS.module_help, modules)])


def _entry(title: str, text: str) -> list[str]:
    return [
        f"  {title}",
        *textwrap.wrap(text, 92, initial_indent=" " * 6, subsequent_indent=" " * 6),
    ]
