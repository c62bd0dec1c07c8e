# SPDX-License-Identifier: Apache-2.0
"""Whether a server-side apply of a manifest would change the live object, decided without asking the API server.

One walk over three trees: what is desired, what is live, and `fieldsV1`, the API server's own record of the fields
that our last apply owns (https://kubernetes.io/docs/reference/using-api/server-side-apply/). An apply is needed when

- a desired field is absent or has another value in the live object,
- we own a field that is no longer desired: the apply removes it,
- we don't own a desired field, though its value is right: another manager has written it (so it may be gone
  tomorrow, and would stay if we stopped wanting it). This is what takes an object over.

The record also shows how the API server merges each list, so kinds with their own schema need no table here. An object
without any record (if something strips it) is compared by value, with the lists of merge_keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from . import merge_keys
from .quantities import quantity_value
from .values import FIELD_MANAGER

__all__ = ["differing_fields", "needs_apply", "without_nulls"]

Record: TypeAlias = Mapping[str, Any]
"""The part of fieldsV1 that belongs to a value: {"f:name": ..., "k:{...}": ..., "v:...": ..., ".": {}}."""

UNKNOWN: Final[Record] = MappingProxyType({})
"""There is no record at all. This and the next three are empty, and distinguished by identity."""
WHOLE: Final[Record] = MappingProxyType({})
"""A record with nothing below it: we own a scalar, an atomic list, an atomic map, or an empty map as such."""
ATOMIC: Final[Record] = MappingProxyType({})
"""We are inside an atomic list or map: all of it is ours."""
NOTHING: Final[Record] = MappingProxyType({})
"""We own no part of it."""

NEVER_RECORDED = frozenset({"apiVersion", "kind", "status"})
NEVER_RECORDED_METADATA = frozenset(
    {"creationTimestamp", "generation", "managedFields", "name", "namespace", "resourceVersion", "selfLink", "uid"}
)
"""What server-side apply leaves out of the record; `status` is reset for every kind that has the subresource."""

MISSING: Final = object()


class Kind(Enum):
    """What the numbers and strings in a map mean."""

    PLAIN = "plain"
    RESOURCES = "the map `resources`, whose limits and requests are amounts"
    AMOUNTS = "each a quantity"


def needs_apply(
    desired: Mapping[str, Any], live: Mapping[str, Any] | None, *, field_manager: str = FIELD_MANAGER
) -> bool:
    """True if applying `desired` would change `live`; if `live` is None, the object does not exist yet."""
    if live is None:
        return True
    owned = _our_record(live, desired.get("apiVersion"), field_manager)
    if owned is NOTHING:
        return True
    for key, want in desired.items():
        if key == "status":
            continue
        if key in NEVER_RECORDED:
            if live.get(key, want) != want:
                return True
        elif key == "metadata":
            if _metadata_differs(
                want, live.get(key) or {}, owned if owned is UNKNOWN else owned.get("f:metadata", NOTHING)
            ):
                return True
        elif _field_differs(key, want, live, owned, Kind.PLAIN):
            return True
    return _more_is_owned(owned, desired)


def differing_fields(desired: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """{path: live value, None if there is none} of the fields that have other values in the live object, whoever owns them."""
    return {
        path: value
        for key, want in desired.items()
        if key not in NEVER_RECORDED
        for path, value in _differing(key, want, live, key, Kind.PLAIN).items()
    }


def _differing(key: str, want: Any, live: Mapping[str, Any], path: str, kind: Kind) -> dict[str, Any]:
    if not _field_differs(key, want, live, UNKNOWN, kind):
        return {}
    have: Any = live.get(key)
    below: dict[str, Any] = {}
    if isinstance(want, dict) and isinstance(have, dict):
        for inner, item in want.items():
            below |= _differing(inner, item, have, f"{path}.{inner}", _kind_below(key, kind))
    elif isinstance(want, list) and isinstance(have, list) and want and isinstance(want[0], dict):
        fields = merge_keys.merge_keys(key, want[0])
        partners = {_key_of(item, fields): item for item in have} if fields else {}
        for item in want:
            partner = partners.get(_key_of(item, fields), {})
            name = f"{path}[{'/'.join(str(item.get(field, '')) for field in fields)}]"
            for inner, value in item.items() if partner else ():
                below |= _differing(inner, value, partner, f"{name}.{inner}", Kind.PLAIN)
    return below or {path: have}


def without_nulls(value: Any) -> Any:
    """The value without all keys that are null, at any depth.

    In our manifests null means absent. Server-side apply would own the field and let its default refill it.
    """
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def _our_record(live: Mapping[str, Any], api_version: str | None, field_manager: str) -> Record:
    """fieldsV1 of our last apply; NOTHING if we never applied (in this API version)."""
    entries = (live.get("metadata") or {}).get("managedFields")
    if not entries:
        return UNKNOWN
    for entry in entries:
        if (
            entry.get("manager") == field_manager
            and entry.get("operation") == "Apply"
            and not entry.get("subresource")
            and entry.get("apiVersion") == api_version
        ):
            return entry.get("fieldsV1") or NOTHING
    return NOTHING


def _metadata_differs(desired: Mapping[str, Any], live: Mapping[str, Any], owned: Record) -> bool:
    for key, want in desired.items():
        if key in NEVER_RECORDED_METADATA:
            if key in ("name", "namespace") and live.get(key, want) != want:
                return True
        elif _field_differs(key, want, live, owned, Kind.PLAIN):
            return True
    return _more_is_owned(owned, desired)


def _more_is_owned(owned: Record, desired: Mapping[str, Any]) -> bool:
    """Whether we own a field of a map that is no longer desired."""
    return any(name.startswith("f:") and desired.get(name[2:]) is None for name in owned)


def _field_differs(key: str, want: Any, live: Mapping[str, Any], owned: Record, kind: Kind) -> bool:
    """Whether the field `key` of a live map is not as desired or, if there is a record, not ours."""
    if want is None:
        return False
    have = live.get(key)
    below = owned
    if owned is not UNKNOWN and owned is not ATOMIC:
        entry = owned.get(f"f:{key}")
        if entry is None:  # not ours: fine only for an empty collection, which may be impossible to own
            return not _is_empty_collection(key, want) or (bool(have) and not merge_keys.is_merged(key))
        if not entry and want and key in merge_keys.GRANULAR_MAPS:
            return True  # we own the map as such, but none of its keys
        below = entry or WHOLE
    if have is None:
        return not _may_be_left_out(key, want)
    if isinstance(want, dict):
        return not isinstance(have, dict) or _map_differs(want, have, below, _kind_below(key, kind))
    if isinstance(want, list):
        return not isinstance(have, list) or _list_differs(key, want, have, below)
    return want is not have and not _is_same(
        key, want, have, is_amount=kind is Kind.AMOUNTS or key in merge_keys.QUANTITIES
    )


def _map_differs(want: Mapping[str, Any], have: Mapping[str, Any], owned: Record, kind: Kind) -> bool:
    if owned is WHOLE:
        if not want:
            return False  # an empty map of ours; what others put into it belongs to them
        owned = ATOMIC
    if owned is ATOMIC and any(want.get(key) is None and not merge_keys.is_default(key, have[key]) for key in have):
        return True
    for key, item in want.items():
        if _field_differs(key, item, have, owned, kind):
            return True
    return _more_is_owned(owned, want)


def _item_differs(want: Any, have: Any, owned: Record) -> bool:
    """The same for an item of a list, which has no name of its own."""
    if isinstance(want, dict):
        return not isinstance(have, dict) or _map_differs(want, have, owned, Kind.PLAIN)
    if isinstance(want, list):
        return not isinstance(have, list) or _list_differs("", want, have, owned)
    return not _is_same("", want, have, is_amount=False)


def _list_differs(name: str, want: list[Any], have: list[Any], owned: Record) -> bool:
    """Lists with a single owner are compared item by item; in merged ones, others may have items between ours.

    The API server keeps applied items in the applied order, so a changed order is a difference in both.
    """
    if owned is UNKNOWN:
        fields = merge_keys.merge_keys(name, want[0]) if want and isinstance(want[0], dict) else ()
        if fields:
            return _merged_list_differs(want, have, fields, UNKNOWN)
        if name in merge_keys.SETS:
            return not _is_subsequence(want, have)
    elif owned is not WHOLE and owned is not ATOMIC:
        forms = {entry[:2] for entry in owned if entry != "."}
        if forms == {"k:"}:
            return _merged_list_differs(want, have, tuple(_parsed(next(e for e in owned if e != "."))), owned)
        if forms == {"v:"}:
            ours = {json.dumps(_parsed(entry), sort_keys=True) for entry in owned if entry != "."}
            return ours != {json.dumps(item, sort_keys=True) for item in want} or not _is_subsequence(want, have)
    if len(want) != len(have):
        return True
    return any(_item_differs(item, have[position], ATOMIC) for position, item in enumerate(want))


def _merged_list_differs(want: list[Any], have: list[Any], fields: tuple[str, ...], owned: Record) -> bool:
    positions = {_key_of(item, fields): position for position, item in enumerate(have)}
    records = {_values(_parsed(entry), fields): below for entry, below in owned.items() if entry != "."}
    last = -1
    for item in want:
        key = _key_of(item, fields)
        if MISSING in key:  # the API server fills in the rest of the key
            key = next((live_key for live_key in positions if _completes(live_key, key)), key)
        position = positions.get(key)
        if position is None or position < last:
            return True
        last = position
        below = UNKNOWN if owned is UNKNOWN else records.pop(key, NOTHING)
        if below is not NOTHING and below is not UNKNOWN and not below:
            below = WHOLE  # an item that is owned as a whole, like an owner reference
        if below is NOTHING or _item_differs(item, have[position], below):
            return True
    return bool(records)


@lru_cache(maxsize=4096)
def _parsed(entry: str) -> Any:
    """The JSON in a record's `k:{"name":"x"}` or `v:"x"`. The caller must not change it."""
    return json.loads(entry[2:])


def _key_of(item: Any, fields: tuple[str, ...]) -> tuple[Any, ...]:
    if not isinstance(item, dict):
        return (MISSING,)
    return tuple([item.get(field, merge_keys.KEY_DEFAULTS.get(field, MISSING)) for field in fields])


def _values(key: Mapping[str, Any], fields: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple([key.get(field, MISSING) for field in fields])


def _completes(full: tuple[Any, ...], part: tuple[Any, ...]) -> bool:
    return all(given is MISSING or given == value for given, value in zip(part, full, strict=True))


def _is_subsequence(want: list[Any], have: list[Any]) -> bool:
    rest = iter(have)
    return all(any(item == other for other in rest) for item in want)


def _is_empty_collection(key: str, value: Any) -> bool:
    """An empty list or map, but not an empty structure such as `emptyDir: {}`, which has a meaning of its own."""
    return value == [] or (value == {} and key in merge_keys.DROPPED_WHEN_EMPTY)


def _may_be_left_out(key: str, want: Any) -> bool:
    """Whether the API server keeps `want` by storing nothing."""
    return _is_empty_collection(key, want) or (not isinstance(want, dict) and want in ("", 0, False))


def _is_same(key: str, want: Any, have: Any, *, is_amount: bool) -> bool:
    if want == have:
        return isinstance(want, bool) == isinstance(have, bool)
    if is_amount:
        amount = quantity_value(want)
        return amount is not None and amount == quantity_value(have)
    if key in merge_keys.INT_OR_STRING and isinstance(want, int | str) and isinstance(have, int | str):
        return str(want) == str(have) and not isinstance(want, bool)
    return False


def _kind_below(key: str, kind: Kind) -> Kind:
    if key == "resources":
        return Kind.RESOURCES
    return Kind.AMOUNTS if kind is Kind.RESOURCES and key in merge_keys.QUANTITY_MAPS else Kind.PLAIN
