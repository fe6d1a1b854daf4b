"""Reading sampler options: texts from the command line."""

from __future__ import annotations

from collections.abc import Mapping

from harness import HarnessError, closest


def choice(options: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str) -> str:
    """One of a few words."""
    value = options.get(name, default).strip().lower()
    if value not in allowed:
        raise HarnessError(f"sampler option {name}={value!r}: {closest(value, allowed)}")
    return value


def positive_int(options: Mapping[str, str], name: str) -> int | None:
    """A whole number from 1, or None where the option is not given."""
    number = positive(options, name)
    if number is not None and number != int(number):
        raise HarnessError(f"sampler option {name}={options[name]!r} is not a whole number")
    return None if number is None else int(number)


def positive(options: Mapping[str, str], name: str) -> float | None:
    """A number above 0, or None where the option is not given."""
    if name not in options:
        return None
    try:
        number = float(options[name])
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise HarnessError(f"sampler option {name}={options[name]!r} is not a number above 0")
    return number
