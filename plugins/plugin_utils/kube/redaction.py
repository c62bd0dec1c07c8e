# SPDX-License-Identifier: Apache-2.0
"""Keeps values of Secrets out of what others say: a webhook may quote the object that it refuses, a program its password."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

__all__ = ["MASK", "SECRET_NAME", "Redaction", "secrets_in"]

MASK = "***"
NO_SECRETS = frozenset({"username", "database"})
"""Keys of Secrets whose values may be told, and are words of other messages."""
SHORTEST_SECRET = 6
"""Characters. Shorter values, such as the name of a database, are also words of other messages."""
SECRET_NAME = re.compile(
    r"pass(word|phrase|wd)?$|secret$|token$|(api|private|access)_?key$|credentials?$", re.IGNORECASE
)
"""The name of a field, a setting or a variable that says that its value is secret."""
ANYWHERE = 8
"""From so many characters on a value is looked for within words, too."""
MOST_VALUES = 2000


class Redaction:
    """The values of the Secrets that were read or sent. Threads that `learn` need a lock; the rest needs none."""

    def __init__(self, manifests: Iterable[Any] = ()) -> None:
        self._values: frozenset[str] = frozenset()
        self._compiled: tuple[frozenset[str], re.Pattern[str] | None] = (self._values, None)
        for manifest in manifests:
            self.learn(manifest)

    def learn(self, manifest: Any) -> None:
        """The values of a Secret; of a list of Secrets all; of anything else none."""
        self._add(value for secret in secrets_in(manifest) for value in _values(secret))

    def learn_named(self, manifest: Any) -> None:
        """The same, and of any object the texts and variables whose name says that they are secret."""
        self.learn(manifest)
        self._add(_named(manifest))

    def _add(self, values: Iterable[str]) -> None:
        found = {form for value in values for form in _forms(value)}
        if not found <= self._values and len(self._values) < MOST_VALUES:
            self._values |= found

    def text(self, text: str) -> str:
        """The text with MASK in place of each value."""
        pattern = self._pattern()
        return pattern.sub(MASK, text) if pattern else text

    def structure(self, value: Any) -> Any:
        """A copy in which each text is one of `text`; the same value if there is nothing to hide in it."""
        pattern = self._pattern()
        if pattern is None or not pattern.search(json.dumps(value, ensure_ascii=False, default=str)):
            return value
        return self._hidden(value)

    def _hidden(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self._hidden(item) for key, item in value.items()}
        return [self._hidden(item) for item in value] if isinstance(value, list) else value

    def _pattern(self) -> re.Pattern[str] | None:
        values, (of, pattern) = self._values, self._compiled
        if values and of is not values:
            longest_first = sorted(values, key=len, reverse=True)
            pattern = re.compile("|".join(map(_sought, longest_first)))
            self._compiled = (values, pattern)
        return pattern


def secrets_in(manifest: Any) -> list[Mapping[str, Any]]:
    """The Secret itself, or those in a list, whose items have no kind of their own."""
    if not isinstance(manifest, Mapping):
        return []
    if manifest.get("kind") == "SecretList" and isinstance(manifest.get("items"), list):
        return [item for item in manifest["items"] if isinstance(item, Mapping)]
    return [manifest] if manifest.get("kind") == "Secret" else []


def _values(secret: Mapping[str, Any]) -> set[str]:
    found = set()
    for field in ("data", "stringData"):
        for key, value in (secret.get(field) or {}).items() if isinstance(secret.get(field), Mapping) else ():
            if key in NO_SECRETS or not isinstance(value, str):
                continue
            if field == "stringData":
                found.add(value)
                continue
            try:
                found |= {value, base64.b64decode(value).decode()}
            except (binascii.Error, ValueError):
                found.add(value)
    return found


def _named(manifest: Any) -> set[str]:
    found, rest = set(), [manifest]
    while rest:
        one = rest.pop()
        if isinstance(one, Mapping):
            named = [*one.items(), (one.get("name"), one.get("value"))]
            found |= {value for name, value in named if isinstance(value, str) and SECRET_NAME.search(str(name))}
            rest += one.values()
        elif isinstance(one, list):
            rest += one
    return found


def _forms(value: str) -> set[str]:
    """How a value may be written in a message: as it is, each line of it, quoted for JSON and Go, in an address, in base64."""
    lines = [value.strip(), *(line.strip() for line in value.splitlines())]
    forms = {form for line in (value, *lines) for form in (*_quoted(line), quote(line, safe=""))}
    forms |= {*lines, " ".join(value.split()), base64.b64encode(value.encode(errors="replace")).decode()}
    return {form for form in forms if len(form) >= SHORTEST_SECRET}


def _quoted(text: str) -> set[str]:
    """In JSON, in that of Go, which escapes what HTML reads, and in Go's own quotes."""
    plain = json.dumps(text, ensure_ascii=False)[1:-1]
    of_go = plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return {plain, of_go, json.dumps(text)[1:-1]}


def _sought(value: str) -> str:
    escaped = re.escape(value)
    return escaped if len(value) >= ANYWHERE else rf"(?<![A-Za-z0-9]){escaped}(?![A-Za-z0-9])"
