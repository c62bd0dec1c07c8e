# SPDX-License-Identifier: Apache-2.0
"""A strategic merge patch on a pod template, as the API server applies one: lists of things that have names are merged.

Source of the rules: k8s.io/apimachinery `pkg/util/strategicpatch` and the tags `patchStrategy` and `patchMergeKey` in
k8s.io/api `core/v1/types.go` (Kubernetes 1.37). tests/integration/collection_io compares it with a real API server.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

__all__ = ["MERGE_KEYS", "BadPatch", "merged"]

MERGE_KEYS = {
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "ports": "containerPort",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""Lists in a pod template whose items are merged, by this field of theirs. All others are replaced as a whole."""
SETS = frozenset({"finalizers"})
"""Lists of texts that are merged."""

PATCH, RETAIN, ORDER, DELETE = "$patch", "$retainKeys", "$setElementOrder/", "$deleteFromPrimitiveList/"


class BadPatch(ValueError):  # noqa: N818 # reads as what is the case
    """The patch is none: says where, and what to do."""


def merged(original: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The pod template with the patch laid over it; neither is changed.

    Raises:
        BadPatch: a directive of the patch means nothing, or an item of a list has no name to find it by.
    """
    return _mapping(dict(copy.deepcopy(original)), copy.deepcopy(patch), "")


def _mapping(original: dict[str, Any], patch: Mapping[str, Any], path: str) -> dict[str, Any]:
    if PATCH in patch:
        return _directive(patch, path)
    rest = dict(patch)
    _retain(original, rest, path)
    _in_order(original, rest, path)
    for key, value in rest.items():
        if key.startswith(DELETE):
            name = key.removeprefix(DELETE)
            if isinstance(original.get(name), list) and isinstance(value, list):
                original[name] = [item for item in original[name] if item not in value]
        elif value is None:
            original.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(original.get(key), Mapping):
            original[key] = _mapping(dict(original[key]), value, f"{path}.{key}")
        elif isinstance(value, list) and isinstance(original.get(key), list):
            original[key] = _list(key, original[key], value, f"{path}.{key}")
        else:
            original[key] = _plain(value)
    return original


def _directive(patch: Mapping[str, Any], path: str) -> dict[str, Any]:
    """A mapping that says itself what is done with the one that it is laid over."""
    word = patch[PATCH]
    if word == "replace":
        return {key: value for key, value in patch.items() if key != PATCH}
    if word == "delete":
        return {}
    raise BadPatch(f"{_shown(path)}: $patch is {word!r}. Write replace or delete")


def _retain(original: dict[str, Any], patch: dict[str, Any], path: str) -> None:
    if RETAIN not in patch:
        return
    kept = patch.pop(RETAIN)
    if not isinstance(kept, list):
        raise BadPatch(f"{_shown(path)}: {RETAIN} is no list. List the fields that stay")
    for key, value in patch.items():
        if value is not None and not key.startswith((ORDER, DELETE)) and key not in kept:
            raise BadPatch(f"{_shown(path)}: {key} is not in {RETAIN}. Add it there, or leave it out")
    for key in [key for key in original if key not in kept]:
        del original[key]


def _in_order(original: dict[str, Any], patch: dict[str, Any], path: str) -> None:
    """Merge the lists whose order the patch says, and take them out of it."""
    for key in [key for key in patch if key.startswith(ORDER)]:
        name, order = key.removeprefix(ORDER), patch.pop(key)
        at = f"{path}.{name}"
        if not isinstance(order, list):
            raise BadPatch(f"{_shown(path)}: {key} is no list. List the items in their order")
        given = patch.pop(name, None)
        there = original.get(name)
        if not isinstance(given, list | None) or not isinstance(there, list | None):
            raise BadPatch(f"{_shown(at)}: has an order, but is no list. Remove {key}")
        if given is None and there is None:
            continue
        identity = _identity(name, at)
        positions = [identity(item) for item in order]
        said = [identity(item) for item in given or () if not (isinstance(item, Mapping) and PATCH in item)]
        indexes = [positions.index(one) if one in positions else -1 for one in said]
        if -1 in indexes or indexes != sorted(indexes):
            raise BadPatch(f"{_shown(at)}: has another order than {key}. List all of its items there, in their order")
        result = there or []
        if given is not None:
            result = _plain(given) if there is None else _list(name, there, given, at)
        original[name] = _ordered(result, order, there or [], identity)


def _list(name: str, original: list[Any], patch: list[Any], path: str) -> list[Any]:
    if name in SETS:
        both = list(dict.fromkeys([*original, *patch]))
        return _ordered(both, patch, original, lambda item: item)
    if name not in MERGE_KEYS:
        return list(_plain(patch))
    if not original and not patch:
        return original
    identity = _identity(name, path)
    there, new, is_replaced = list(original), [], False
    for item in patch:
        word = item.get(PATCH) if isinstance(item, Mapping) else None
        if word is None:
            new.append(item)
        elif word == "delete":
            gone = identity(item)
            there = [one for one in there if identity(one) != gone]
        elif word == "replace":
            is_replaced = True
        else:
            raise BadPatch(f"{_shown(path)}: $patch of an item is {word!r}. Write replace or delete")
    if is_replaced:
        return list(_plain(new, keep=True))
    result = list(there)
    for item in new:
        same = [index for index, one in enumerate(result) if identity(one) == identity(item)]
        if same:
            result[same[0]] = _mapping(dict(result[same[0]]), item, f"{path}[{identity(item)}]")
        else:
            result.append(_plain(item, keep=True))
    return _ordered(result, new, there, identity)


def _identity(name: str, path: str) -> Callable[[Any], Any]:
    key = MERGE_KEYS.get(name)

    def identity(item: Any) -> Any:
        if key is None:
            return item
        if not isinstance(item, Mapping) or key not in item:
            raise BadPatch(f"{_shown(path)}: an item has no {key}, by which it is found. Add it")
        return item[key]

    return identity


def _ordered(
    items: Sequence[Any], wanted: Iterable[Any], former: Sequence[Any], identity: Callable[[Any], Any]
) -> list[Any]:
    """The items that the patch names in its order, and between them the others, each before the first that it preceded.

    So what is new comes first.
    """
    positions = {_key(identity(item)): index for index, item in reversed(list(enumerate(wanted)))}
    before = {_key(identity(item)): index for index, item in reversed(list(enumerate(former)))}
    named = sorted(
        (item for item in items if _key(identity(item)) in positions), key=lambda item: positions[_key(identity(item))]
    )
    others = sorted(
        (item for item in items if _key(identity(item)) not in positions),
        key=lambda item: before.get(_key(identity(item)), -1),
    )
    result = []
    while named and others:
        left, right = (before.get(_key(identity(each[0]))) for each in (others, named))
        is_before = left is not None and right is not None and left < right
        result.append((others if is_before else named).pop(0))
    return [*result, *named, *others]


def _key(value: Any) -> str:
    return repr(value)


def _plain(value: Any, *, keep: bool = False) -> Any:
    """What is new, without directives and without the nulls that would remove something.

    `keep`: items that a directive is about stay, without it, as they do in a new item of a list that is merged.
    """
    if isinstance(value, Mapping):
        return {
            key: _plain(item, keep=keep)
            for key, item in value.items()
            if item is not None and key not in (PATCH, RETAIN) and not key.startswith((ORDER, DELETE))
        }
    if isinstance(value, list):
        return [_plain(item, keep=keep) for item in value if keep or not (isinstance(item, Mapping) and PATCH in item)]
    return value


def _shown(path: str) -> str:
    return path.removeprefix(".") or "the patch"
