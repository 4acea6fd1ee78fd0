"""Options of a method, checked against the dataclass that lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from ..errors import ModelError, closest

__all__ = ["checked_options"]

T = TypeVar("T")


def checked_options(
    cls: type[T], given: Mapping[str, Any] | T | None, method: str, choices: Mapping[str, tuple[str, ...]]
) -> T:
    """The options of a mapping, as an instance of the dataclass `cls`.

    Raises
    ------
    ModelError
        An option that does not exist, with the closest names, or a value that does not fit.
    """
    if isinstance(given, cls):
        return given
    known = {field.name: field.default for field in fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, value in (given or {}).items():  # type: ignore[union-attr]
        if name not in known:
            raise ModelError(f"{method}: " + closest(name, known, "option"))
        values[name] = _checked(f"{method}: option {name!r}", value, known[name], choices.get(name))
    return cls(**values)


def _checked(what: str, value: Any, default: Any, choices: tuple[str, ...] | None) -> Any:
    """The value in the type of the default."""
    if choices is not None:
        if value not in choices:
            raise ModelError(f"{what} is one of {choices}, not {value!r}")
        return value
    if isinstance(default, str):
        return str(value)
    if isinstance(default, bool):
        if value in ("yes", "no"):
            return value == "yes"
        if isinstance(value, bool) or value in (0, 1):
            return bool(value)
        raise ModelError(f"{what} is True or False, not {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ModelError(f"{what} is a number, not {value!r}") from None
    if not number >= 0.0:
        raise ModelError(f"{what} is not negative; {value!r} is")
    if isinstance(default, float):
        return number
    if number != int(min(number, 1e9)):
        raise ModelError(f"{what} is a whole number, not {value!r}")
    return int(number)
