# SPDX-License-Identifier: Apache-2.0
"""Small operations on the JSON-like values that custom resources and manifests are made of."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from .quantities import quantity_value

Manifest: TypeAlias = dict[str, Any]
"""A Kubernetes object as the API server speaks it in JSON."""

FIELD_MANAGER = "immich-operator"
"""The name that marks objects, their fields and Events as the operator's."""


def plain(value: Any) -> Any:
    """A deep copy in built-in types: Ansible's marked strings and lazy containers become str, dict and list."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    return float(value) if isinstance(value, float) else value


TEXT_MARK = " "
"""Before each JSON text between tasks: ansible-core 2.18 turns a template's result that starts like JSON into a dict."""


def text(value: Any) -> str:
    """What travels from task to task, always: the JSON of a value, behind TEXT_MARK.

    One text, because of a structure Ansible looks at each single value whenever an expression mentions it, which for a
    whole instance takes longer than all the rest of a pass.
    """
    return TEXT_MARK + json.dumps(value)


def structure(told: Any) -> dict[str, Any] | None:
    """The mapping in a text of `text` (or in plain JSON); None for all that is no text, or the text of something else."""
    try:
        found = json.loads(str.__str__(told)) if isinstance(told, str) else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def dig(value: Any, *path: str, default: Any = None) -> Any:
    """The value at a path of mapping keys, or `default` if a key on the way is missing or null."""
    for key in path:
        if not isinstance(value, Mapping) or value.get(key) is None:
            return default
        value = value[key]
    return value


def values_at(value: Any, path: str) -> list[str]:
    """Non-empty strings at a path such as `spec.server.env[].valueFrom.secretKeyRef.name`; `[]` is "of each item".

    Whatever does not fit the path is passed over.
    """
    found = [value]
    for step in path.split("."):
        name = step.removesuffix("[]")
        found = [item[name] for item in found if isinstance(item, Mapping) and name in item]
        if step.endswith("[]"):
            found = [item for items in found if isinstance(items, list) for item in items]
    return [item for item in found if isinstance(item, str) and item]


def visible(text: str, keep: str = "") -> str:
    r"""What others wrote, for a terminal, a log, a condition or an Event: what is no visible character is written out.

    That is all that a terminal may take for a command (\x1b, C1), that moves, hides or turns around text (line breaks,
    U+2028, bidirectional controls, zero-width and other invisible characters), and what no font has: as \n, \x1b, \u202e.
    Characters in `keep` stay.
    """
    if text.isprintable() and not _INVISIBLE.search(text):
        return text
    return "".join(character if character in keep else _visible(character) for character in text)


def in_one_line(text: str, limit: int = 300) -> str:
    """What others wrote, as a part of a message: in one line of at most `limit` characters, and `visible`."""
    found = visible(" ".join(text[: 8 * limit].split()))
    return found if len(found) <= limit else f"{found[: limit - 1]}…"


def whole_number(text: str, digits: int = 10) -> int | None:
    """The number that a text of ASCII digits stands for; None for any other, and for one of more digits.

    `isdigit` is true of characters that `int` refuses, and `int` of more than 4,300 digits raises.
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def cut(text: str, limit: int) -> str:
    """The first `limit` characters, and "..." if there are more."""
    return text if len(text) <= limit else f"{text[:limit]}..."


def fitted(text: str, limit: int) -> str:
    """The text in at most `limit` bytes of UTF-8, with "…" at its end if it had more."""
    raw = text.encode(errors="replace")
    if len(raw) <= limit:
        return raw.decode()
    return raw[: limit - len("…".encode())].decode(errors="ignore") + "…"


_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters, marks and signs that show nothing: Default_Ignorable_Code_Point outside of Cf, and the blank Braille pattern."""


def _visible(character: str) -> str:
    is_shown = character.isprintable() or unicodedata.category(character) == "Zs"
    return character if is_shown and not _INVISIBLE.match(character) else character.encode("unicode_escape").decode()


DEEPEST = 100
"""Levels of a custom resource: more than any schema has, and few enough for what works by recursion."""


def is_deeper(value: Any, levels: int) -> bool:
    """Whether mappings and lists are nested deeper than that. Without recursion, whose limit such values may exceed."""
    layer = [value]
    for _unused in range(levels + 1):
        if not layer:
            return False
        layer = [
            inner
            for outer in layer
            if isinstance(outer, Mapping | list)
            for inner in (outer.values() if isinstance(outer, Mapping) else outer)
        ]
    return bool(layer)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` merged into `base`: mappings are merged key by key, everything else (lists too) is replaced as a whole."""
    result = dict(base)
    for key, value in over.items():
        held = result.get(key)
        result[key] = merged(held, value) if isinstance(held, Mapping) and isinstance(value, Mapping) else value
    return result


def without_none(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping without its keys that are null: an absent field in a manifest, not an explicit null."""
    return {key: value for key, value in mapping.items() if value is not None}


def quantity(text: str | int | float) -> Decimal:
    """The value of a Kubernetes quantity ("10Gi", "500m"). ValueError if it is not one."""
    value = quantity_value(text)
    if value is None:
        raise ValueError(f"{text!r} is not a Kubernetes quantity")
    return value


def mapping_in(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The mapping of that name; empty for anything else."""
    value = parent.get(name)
    return value if isinstance(value, Mapping) else {}


def items_in(parent: Mapping[str, Any], name: str) -> list[Any]:
    """The list of that name; empty for anything else."""
    value = parent.get(name)
    return value if isinstance(value, list) else []


def mappings_in(parent: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The mappings in a list of mappings."""
    return [entry for entry in items_in(parent, name) if isinstance(entry, Mapping)]


def decoded_text(encoded: Any) -> str | None:
    """The text of a value in a Secret's `data`; None for what is none."""
    try:
        return base64.b64decode(encoded, validate=True).decode() if isinstance(encoded, str) else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def derived(secret: str, purpose: str) -> str:
    """64 hexadecimal digits that are others for each purpose, and say nothing of the secret."""
    return hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def checksum(salt: str, content: Iterable[str] | Mapping[str, Any] | str) -> str:
    """Sixteen hexadecimal digits that change with the content.

    Whoever knows the salt can try contents until one fits. components/checksums.py makes one that few people know.
    """
    text = content if isinstance(content, str) else json.dumps(content, sort_keys=True)
    return hmac.new(salt.encode(), text.encode(), hashlib.sha256).hexdigest()[:16]
