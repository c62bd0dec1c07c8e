# SPDX-License-Identifier: Apache-2.0
"""Whether a text is a cron expression, a URL or a number to Immich.

Immich is a Node.js program, so its libraries decide: `cron` 4, the WHATWG URL parser, JavaScript's `Number()`. If one
of their rules is too long to repeat here, the text passes: no valid value is ever called wrong.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import unquote

_CRON_FIELDS = (
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
)
_CRON_NAMES = {
    name: str(number)
    for names, first in (("jan feb mar apr may jun jul aug sep oct nov dec", 1), ("sun mon tue wed thu fri sat", 0))
    for number, name in enumerate(names.split(), first)
}
_CRON_PRESETS = re.compile(r"@(?:yearly|monthly|weekly|daily|hourly|minutely|secondly|weekdays|weekends)")
_CRON_PART = re.compile(r"(?:\*|([0-9]+)(?:-([0-9]+))?)(?:/([0-9]+))?")
_TIME_OF_DAY = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_WEB_SCHEMES = ("http", "https")
# Schemes for which the URL standard demands a host (`file` may go without one).
_SCHEMES_WITH_HOST = (*_WEB_SCHEMES, "ws", "wss", "ftp")
_NOT_IN_HOST = re.compile(r"[\x00-\x20\x7f#/:<>?@\[\\\]^|%]")
_DOTTED_NUMBERS = re.compile(r"[1-9][0-9]*(?:\.[1-9][0-9]*|\.0){3}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PREFIXED = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")
# What JavaScript trims; strip() without an argument would leave the byte order mark and take more control characters.
_SPACE = " \t\n\r\v\f\u00a0\ufeff\u2028\u2029"


def cron_fault(text: str) -> str:
    """Why Immich's scheduler refuses a cron expression ("the hour 24 is not within 0 to 23"); "" if it accepts it."""
    lowered = text.lower()
    if _CRON_PRESETS.fullmatch(lowered):
        return ""
    for word in re.findall(r"[a-z]{1,3}", lowered):
        if word not in _CRON_NAMES:
            return "it holds letters that are neither a month (jan to dec) nor a weekday (sun to sat)"
    fields = re.sub(r"[a-z]{3}", lambda word: _CRON_NAMES[word[0]], lowered).replace("\ufeff", " ").split()
    if not 5 <= len(fields) <= 6:
        return f"it has {len(fields)} field{'' if len(fields) == 1 else 's'} instead of 5 or 6"
    for field, bounds in zip(fields, _CRON_FIELDS[-len(fields) :], strict=True):
        for part in field.split(","):
            if fault := _cron_part_fault(part, *bounds):
                return fault
    return ""


def _cron_part_fault(part: str, name: str, low: int, high: int) -> str:
    match = _CRON_PART.fullmatch(part)
    if match is None:
        return f"its {name} is not *, a number, a range such as {low}-{high}, or one of these with a step such as */2"
    first, last, step = (group and _clipped(group) for group in match.groups())
    if step == 0:
        return f"its {name} has a step of 0"
    if any(isinstance(number, int) and not low <= number <= high for number in (first, last)):
        return f"its {name} is not within {low} to {high}"
    if isinstance(first, int) and isinstance(last, int) and first > last:
        return f"its {name} is a range that ends before it begins"
    return ""


def _clipped(digits: str) -> int:
    """The number, or one out of every range if there are many digits: int() refuses more than 4,300 of them."""
    return int(digits.lstrip("0")[:4] or "0")


def is_time_of_day(text: str) -> bool:
    """Whether the text is HH:MM, 00:00 to 23:59."""
    return _TIME_OF_DAY.fullmatch(text) is not None


def is_url(text: str) -> bool:
    """False only for text that the WHATWG URL parser certainly refuses; `name:8080` passes, with the scheme `name`."""
    cleaned = re.sub(r"[\t\n\r]", "", text.strip(_SPACE))
    scheme = _SCHEME.match(cleaned)
    if scheme is None:
        return False
    if scheme[1].lower() not in _SCHEMES_WITH_HOST:
        return True
    authority = re.split(r"[/\\?#]", cleaned[scheme.end() :].lstrip("/\\"), maxsplit=1)[0]
    return _is_host_and_port(authority.rpartition("@")[2])


def is_web_url(text: str) -> bool:
    """Whether a URL starts with http: or https:."""
    scheme = _SCHEME.match(text.strip(_SPACE))
    return scheme is not None and scheme[1].lower() in _WEB_SCHEMES


def _is_host_and_port(text: str) -> bool:
    if text.startswith("["):
        address, bracket, rest = text[1:].partition("]")
        return bool(bracket) and _is_ipv6(address) and (not rest or (rest[0] == ":" and _is_port(rest[1:])))
    host, _unused, port = text.partition(":")
    decoded = unquote(host)
    if not host or _NOT_IN_HOST.search(decoded) or not _is_port(port):
        return False
    if _DOTTED_NUMBERS.fullmatch(decoded):
        return all(_clipped(number) <= 255 for number in decoded.split("."))
    return True


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return "%" not in text


def _is_port(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and len(text.lstrip("0")) <= 5 and int(text[-5:]) <= 65535)


def number_in_text(text: str) -> float | None:
    """The finite number that JavaScript's `Number()` makes of a text (0 for an empty one), or None."""
    trimmed = text.strip(_SPACE)
    if not trimmed:
        return 0.0
    if _PREFIXED.fullmatch(trimmed):
        # The largest whole number that Immich accepts has 53 binary digits; float() overflows on very long ones.
        return float(int(trimmed, 0)) if len(trimmed) < 60 else None
    if not _DECIMAL.fullmatch(trimmed):
        return None
    number = float(trimmed)
    return number if abs(number) != float("inf") else None
