"""The leaves of a frozen dataclass: what each is called, and how its text is read and written.

A dataclass may nest others; a leaf is a field that is not itself a dataclass, or one with a parser.
Its name alone identifies it. Texts are those of a command line; what cannot be read raises
ValueError.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from minima.runtime.errors import UserError

REQUIRED = dataclasses.MISSING


@dataclass(frozen=True)
class Leaf:
    """One field that a user may set."""

    path: tuple[str, ...]
    default: Any
    help: str
    group: str
    type_name: str
    optional: bool
    parse: Callable[[str], Any]
    format: Callable[[Any], str]
    choices: tuple[Any, ...]
    check: Callable[[Any], None] | None

    @property
    def name(self) -> str:
        """The flag's name."""
        return self.path[-1]

    def read(self, text: str) -> Any:
        """The value that a text stands for, checked."""
        if self.optional and text.strip().lower() == "none":
            return None
        return self.checked(self.parse(text))

    def write(self, value: Any) -> str:
        """The text that stands for a value."""
        return "none" if self.optional and value is None else self.format(value)

    def checked(self, value: Any) -> Any:
        """The value, where it is one of the choices and passes the field's own check."""
        if self.choices and value not in self.choices:
            raise ValueError(f"choose one of {self._listed_choices()}")
        if self.check is not None:
            try:
                self.check(value)
            except UserError as error:  # absl only knows what to do with a ValueError
                raise ValueError(str(error)) from error
        return value

    def described(self) -> str:
        """The help text with the choices."""
        return f"{self.help} ({self._listed_choices()})".strip() if self.choices else self.help

    def get(self, config: Any) -> Any:
        """This leaf of a config."""
        for name in self.path:
            config = getattr(config, name)
        return config

    def _listed_choices(self) -> str:
        none = ("none",) if self.optional else ()
        return ", ".join((*map(self.format, self.choices), *none))


def leaves(config_class: type) -> tuple[Leaf, ...]:
    """Every leaf of a dataclass, depth first, in the order of its fields."""
    found = tuple(_walk(config_class, (), None, ""))
    names = [leaf.name for leaf in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise TypeError(
            f"{config_class.__name__}: two leaves are called {', '.join(sorted(twice))}"
        )
    return found


def build(config_class: type, values: Mapping[str, Any]) -> Any:
    """The config with these values by leaf name, and defaults elsewhere."""
    by_path = {leaf.path: values.get(leaf.name, leaf.default) for leaf in leaves(config_class)}
    for path, value in by_path.items():
        if value is REQUIRED:
            raise UserError(f"--{path[-1]} has no default: give it a value")
    return _construct(config_class, by_path, ())


def choice(name: str, choices: tuple[str, ...], help: str) -> Leaf:
    """A leaf of no dataclass: an optional pick from a list."""
    return Leaf((name,), None, help, "", "choice", True, str, str, choices, None)


def _walk(config_class: type, path: tuple[str, ...], given: Any, group: str) -> Iterator[Leaf]:
    for field, kind in _fields(config_class):
        default = _default(field) if given is None else getattr(given, field.name)
        here = (*path, field.name)
        if _is_nested(field, kind):
            nested = None if default is REQUIRED else default
            yield from _walk(kind, here, nested, f"{field.name}: {_first_line(kind)}")
        else:
            yield _leaf(config_class, field, kind, here, default, group)


def _leaf(
    owner: type,
    field: dataclasses.Field,
    kind: Any,
    path: tuple[str, ...],
    default: Any,
    group: str,
) -> Leaf:
    kind, optional = _without_none(kind)
    how = field.metadata
    choices = tuple(how.get("choices", typing.get_args(kind) if _is_literal(kind) else ()))
    if "parse" in how:
        parse, write, type_name = how["parse"], how.get("format", str), "text"
    elif choices:
        parse, write, type_name = _picker(choices), str, "choice"
    elif kind in _PLAIN:
        parse, write, type_name = (*_PLAIN[kind], kind.__name__)
    else:
        raise TypeError(f"{owner.__name__}.{field.name}: {kind} needs a 'parse' in its metadata")
    help_text, check = how.get("help", ""), how.get("check")
    return Leaf(path, default, help_text, group, type_name, optional, parse, write, choices, check)


def _construct(config_class: type, by_path: Mapping[tuple[str, ...], Any], path: tuple) -> Any:
    arguments = {}
    for field, kind in _fields(config_class):
        here = (*path, field.name)
        arguments[field.name] = (
            _construct(kind, by_path, here) if _is_nested(field, kind) else by_path[here]
        )
    return config_class(**arguments)


def _fields(config_class: type) -> Iterator[tuple[dataclasses.Field, Any]]:
    """The fields that the constructor takes, with their types resolved."""
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        if field.init:
            yield field, hints[field.name]


def _is_nested(field: dataclasses.Field, kind: Any) -> bool:
    """Whether the field's own fields are the leaves; one that can be parsed whole is a leaf."""
    if "parse" in field.metadata:
        return False
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _default(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _without_none(kind: Any) -> tuple[Any, bool]:
    """`X` and whether the type was `X | None`."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return kind, False
    rest = [part for part in typing.get_args(kind) if part is not types.NoneType]
    return (rest[0] if len(rest) == 1 else kind), len(rest) < len(typing.get_args(kind))


def _is_literal(kind: Any) -> bool:
    return typing.get_origin(kind) is Literal


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def _picker(choices: tuple[Any, ...]) -> Callable[[str], Any]:
    """Read a choice by its text; an unknown text passes, for `checked` to refuse."""
    by_text = {str(value): value for value in choices}
    return lambda text: by_text.get(text.strip(), text)


def _read_int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("not a whole number; use e.g. 16") from None


def _read_float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise ValueError("not a number; use e.g. 0.1 or 1e-3")
    return value


def _read_bool(text: str) -> bool:
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]
    except KeyError:
        raise ValueError("choose one of true, false") from None


_PLAIN: dict[type, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    int: (_read_int, str),
    float: (_read_float, str),
    str: (str, str),
    bool: (_read_bool, lambda value: str(value).lower()),
}
