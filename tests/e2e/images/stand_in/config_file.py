# SPDX-License-Identifier: Apache-2.0
"""The configuration file, read as Immich reads it: a wrong value is fatal, an unknown key is a warning.

What Immich accepts for each key is in settings.json beside this file, written with the image from the operator's own
table. Source of the rules: Immich v3.1.0, `server/src/utils/config.ts`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Checked", "InvalidConfig", "Kinds", "check", "known_kinds", "load"]

Kinds = Mapping[str, Mapping[str, Any]]
"""{"trash.days": {"kind": "Number", "least": 0, ...}}"""

DEFAULTS: Mapping[str, Any] = {
    "machineLearning.clip.enabled": True,
    "machineLearning.facialRecognition.enabled": True,
    "map.enabled": True,
    "notifications.smtp.enabled": False,
    "oauth.buttonText": "Login with OAuth",
    "oauth.enabled": False,
    "passwordLogin.enabled": True,
    "server.externalDomain": "",
    "server.loginPageMessage": "",
    "server.publicUsers": True,
    "trash.days": 30,
    "trash.enabled": True,
    "user.deleteDelay": 7,
}
"""Of all defaults only those that an answer of the API shows."""


class InvalidConfig(Exception):  # noqa: N818 - reads as what it is
    """The server does not start with this file."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The settings of a file by their path, defaults included, and the keys that nobody knows."""

    values: Mapping[str, Any]
    unknown: tuple[str, ...] = ()


def known_kinds() -> Kinds:
    """What Immich accepts for each key."""
    kinds: Kinds = json.loads(Path(__file__).with_name("settings.json").read_text(encoding="utf-8"))
    return kinds


def load(path: Path | None, kinds: Kinds) -> Checked:
    """The settings in a file, those by default without one; InvalidConfig when it is missing or wrong."""
    if path is None:
        return check({}, kinds)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidConfig(f"{path} cannot be read: {error}") from error
    return check(content, kinds)


def check(content: Any, kinds: Kinds) -> Checked:
    """InvalidConfig that lists every wrong value, or what the file says."""
    if content is None:
        content = {}
    if not isinstance(content, Mapping):
        raise InvalidConfig("the file does not hold a mapping")
    sections = {path[: place.start()] for path in kinds for place in re.finditer(r"\.", path)}
    values = dict(DEFAULTS)
    unknown, wrong = [], []
    for path, value in _leaves(content, sections):
        kind = kinds.get(path)
        if kind is None:
            if path in sections:
                wrong.append(f"{path}: a mapping is expected")
            else:
                unknown.append(path)
        elif not (isinstance(value, Mapping) and not value):
            # An empty mapping adds nothing to the default.
            if _accepts(value, kind):
                values[path] = value
            else:
                wrong.append(f"{path}: {kind['kind'].lower()} is expected")
    if wrong:
        raise InvalidConfig("; ".join(wrong))
    return Checked(values, tuple(unknown))


def _leaves(content: Mapping[Any, Any], sections: set[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        # A dot in a key is no way down: such a key is unknown, whatever it looks like.
        path = prefix + str(key).replace(".", r"\.")
        if path in sections and isinstance(value, Mapping):
            yield from _leaves(value, sections, f"{path}.")
        else:
            yield path, value


def _accepts(value: Any, kind: Mapping[str, Any]) -> bool:
    return _CHECKS[kind["kind"]](value, kind)


def _is_number(value: Any, kind: Mapping[str, Any]) -> bool:
    if value is None:
        return bool(kind["nullable"] or kind["loose"])
    if kind["loose"] and isinstance(value, str | bool):
        try:
            value = float(value or 0)
        except ValueError:
            return False
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if kind["whole"] and value != int(value):
        return False
    return (kind["least"] is None or value >= kind["least"]) and (kind["most"] is None or value <= kind["most"])


def _is_list(value: Any, kind: Mapping[str, Any]) -> bool:
    return (
        isinstance(value, list)
        and (bool(value) or not kind["filled"])
        and all(_accepts(item, kind["each"]) for item in value)
    )


def _is_flag(value: Any, kind: Mapping[str, Any]) -> bool:
    return isinstance(value, bool) or (not kind["strict"] and value in ("true", "false"))


def _is_choice(value: Any, kind: Mapping[str, Any]) -> bool:
    return not isinstance(value, bool) and value in kind["options"]


# URLs and cron expressions are looked at with half an eye here; the operator has a full check with tests of its own.
_CHECKS: Mapping[str, Callable[[Any, Mapping[str, Any]], bool]] = {
    "Text": lambda value, _: isinstance(value, str),
    "Flag": _is_flag,
    "Number": _is_number,
    "Choice": _is_choice,
    "Items": _is_list,
    "Url": lambda value, kind: isinstance(value, str) and (":" in value or (kind["optional"] and not value)),
    "Cron": lambda value, _: isinstance(value, str) and len(value.split()) in (5, 6),
    "TimeOfDay": lambda value, _: isinstance(value, str) and re.fullmatch(r"\d\d:\d\d", value) is not None,
}


class _Loader(yaml.SafeLoader):
    """YAML 1.2 as Immich's js-yaml reads it: `yes` and 12:30 are texts, where PyYAML sees a flag and a number."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as the base class


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first))
