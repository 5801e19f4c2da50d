"""Go's time layouts: a date written the way the reference time, 2006-01-02 15:04:05 -0700 MST, is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

_ELEMENT = re.compile(
    r"""January | Jan(?![a-z]) | Monday | Mon(?![a-z]) | MST
    | 0[1-6] | 002 | 15 | 1 | 2006 | 2 | (?<=_)2006 | _2(?!006) | __2 | 3 | 4 | 5 | PM | pm
    | [-Z](?:070000|07:00:00|0700|07:00|07)
    | [.,](?:0+|9+)(?![0-9])""",
    re.VERBOSE,
)


def now() -> datetime:
    """The clock of every template, in the zone of this machine."""
    return datetime.now().astimezone()


def format_time(time: datetime, layout: str) -> str:
    """`time` must know its zone."""
    return _ELEMENT.sub(lambda element: _written(time, element[0]), layout)


def _written(time: datetime, element: str) -> str:
    if element in _ELEMENTS:
        return _ELEMENTS[element](time)
    if element[0] in ".,":
        return _fraction(time, element)
    return _offset(time.utcoffset() or timedelta(), element)


def _fraction(time: datetime, element: str) -> str:
    digits = f"{time.microsecond:06d}".ljust(len(element) - 1, "0")[: len(element) - 1]
    if element[1] == "9":
        digits = digits.rstrip("0")
    return element[0] + digits if digits else ""


def _offset(offset: timedelta, element: str) -> str:
    if element[0] == "Z" and not offset:
        return "Z"
    seconds = abs(int(offset.total_seconds()))
    parts = [f"{part:02d}" for part in (seconds // 3600, seconds // 60 % 60, seconds % 60)]
    count = (len(element.replace(":", "")) - 1) // 2
    return ("-" if offset < timedelta() else "+") + (":" if ":" in element else "").join(parts[:count])


_ELEMENTS: Mapping[str, Callable[[datetime], str]] = {
    "January": lambda time: _MONTHS[time.month - 1],
    "Jan": lambda time: _MONTHS[time.month - 1][:3],
    "Monday": lambda time: _DAYS[time.weekday()],
    "Mon": lambda time: _DAYS[time.weekday()][:3],
    "MST": lambda time: time.tzname() or "",
    "1": lambda time: f"{time.month}",
    "01": lambda time: f"{time.month:02d}",
    "2": lambda time: f"{time.day}",
    "02": lambda time: f"{time.day:02d}",
    "_2": lambda time: f"{time.day:2d}",
    "002": lambda time: f"{time.timetuple().tm_yday:03d}",
    "__2": lambda time: f"{time.timetuple().tm_yday:3d}",
    "15": lambda time: f"{time.hour:02d}",
    "3": lambda time: f"{time.hour % 12 or 12}",
    "03": lambda time: f"{time.hour % 12 or 12:02d}",
    "4": lambda time: f"{time.minute}",
    "04": lambda time: f"{time.minute:02d}",
    "5": lambda time: f"{time.second}",
    "05": lambda time: f"{time.second:02d}",
    "06": lambda time: f"{time.year % 100:02d}",
    "2006": lambda time: f"{time.year:04d}",
    "PM": lambda time: "PM" if time.hour >= 12 else "AM",
    "pm": lambda time: "pm" if time.hour >= 12 else "am",
}
