# SPDX-License-Identifier: Apache-2.0
"""A custom resource as extra variables of a play, in the four families of the Operator SDK."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from immich_operator.errors import ParameterError
from immich_operator.kube.resources import Kind, Manifest, mapping, may_be_custom_resource, metadata_of, ref_of
from immich_operator.kube.texts import DEEPEST

RESERVED_KEYS: Final = "__ansible"
SHOWN_PATH: Final = 200  # characters
_DIGIT_RUN: Final = re.compile(r"([A-Za-z])([0-9]+)([A-Za-z][0-9]+)")
_WORDS: Final = ("HTTP", "URL", "IP")


def extra_vars(
    cr: Manifest, kind: Kind, *, snake_case: bool, unsafe: bool, identity_only: bool, static: Mapping[str, Any]
) -> dict[str, Any]:
    """All variables of one run; a later family overrides an earlier one of the same name.

    1. each key of `.spec`, in snake case if asked for;
    2. `ansible_operator_meta`: {name, namespace};
    3. `_<group>_<kind>`: the whole object, `_<group>_<kind>_spec`: its spec as stored;
    4. `static`: the `vars` of watches.yaml, which are never marked unsafe, so that they may be templates.

    With `identity_only` only the second and the fourth, and of the third an object with only apiVersion, kind, name,
    namespace and uid: Ansible reads and copies all variables several times in each run.

    Raises:
        ParameterError: the object has a name that none can have, a key of the spec is empty and cannot be converted, or
            something cannot be marked unsafe.
    """
    ref = ref_of(cr)
    if ref is None or not may_be_custom_resource(ref):
        # The SDK's variables with the name are not marked, so that a name in braces would be a template.
        raise ParameterError("the object has a name or uid that no custom resource can have")
    spec = cr.get("spec")
    mark = mark_unsafe if unsafe else _same
    metadata = metadata_of(cr)
    prefix = "_" + re.sub(r"[.-]", "_", kind.group) + "_" + kind.kind.lower()
    meta = {"name": metadata.get("name"), "namespace": metadata.get("namespace", "")}
    if identity_only:
        who = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {**meta, "uid": metadata.get("uid")}}
        return {"ansible_operator_meta": meta, prefix: mark(who), **static}
    parameters = mapping(spec)
    whole = mark(cr)  # before its parts, so that a refusal names the key the way the user knows it
    return {
        **mark(snake_keys(parameters) if snake_case else dict(parameters)),
        "ansible_operator_meta": meta,
        prefix: whole,
        f"{prefix}_spec": mark({} if spec is None else spec),
        **static,
    }


def mark_unsafe(value: Any) -> Any:
    """A copy in which Ansible takes every string literally; keys are never templates and stay as they are.

    Raises:
        ParameterError: a key looks like one of Ansible's own marks, or the value is too deep. With either, ansible-core
            2.19 and later fails to read the variables as marked JSON, reads them as plain YAML instead, and then treats
            every string as a template: anyone who may write a custom resource could run code here.
    """
    return _marked(value, ())


def _marked(value: Any, path: tuple[str, ...]) -> Any:
    if len(path) >= DEEPEST:
        raise ParameterError(f"{_shown(path)} is nested more than {DEEPEST} levels deep; make it flatter")
    if isinstance(value, str):
        return {"__ansible_unsafe": value}
    if isinstance(value, Mapping):
        for key in value:
            if str(key).lower().startswith(RESERVED_KEYS):
                raise ParameterError(
                    f"{_shown((*path, str(key)))} is a key that begins with {RESERVED_KEYS}, which is reserved; remove it"
                )
        return {key: _marked(item, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item, (*path, str(number))) for number, item in enumerate(value)]
    return value


def _shown(path: tuple[str, ...]) -> str:
    """ "spec.env.0.name"; the start of it if it is long."""
    text = ".".join(path)
    return text if len(text) <= SHOWN_PATH else f"{text[:SHOWN_PATH]}..."


def snake_keys(value: Any) -> Any:
    """A copy with every key, at any depth, in snake case; if two keys become equal, the last one stays."""
    if isinstance(value, Mapping):
        return {to_snake(str(key)): snake_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [snake_keys(item) for item in value]
    return value


def to_snake(name: str) -> str:
    """Snake case by the Operator SDK's rules, odd corners included: roles are written against its results."""
    text = _DIGIT_RUN.sub(r"\1 \2 \3", name).strip(" ")
    if not text:
        raise ParameterError("spec holds an empty key; remove it, or set snakeCaseParameters: false")
    leading = "_" if "A" <= text[0] <= "Z" else ""
    for word in _WORDS:
        text = _set_apart(text, word)
    words = _words(text)
    if words[0].upper() in _WORDS:
        leading = ""  # the word itself already stands apart
    return leading + "_".join(words)


def _set_apart(text: str, word: str) -> str:
    """Put `_` around the first `word`, its plural s included and capitalised; none before the very start."""
    before, found, after = text.partition(word)
    if not found:
        return text
    if not after:
        return f"{before}_{word}"
    plural = after.startswith("s")
    if plural:
        word, after = word + "S", after[1:]
    return "_".join(([before] if before or not after else []) + [word] + ([after] if after else []))


def _words(text: str) -> list[str]:
    """Lower-case words; a new one starts at a separator, before Xx, and after xX (if the word has two letters)."""
    words, word = [], ""
    for index, char in enumerate(text):
        following = text[index + 1 : index + 2]
        starts = _is_upper(char) and _is_lower(following)
        ends = _is_lower(char) and _is_upper(following)
        if word and not word.endswith("_") and (starts or ends):
            words.append(word + char if ends else word)
            word = "" if ends else char
        elif char in " _-":
            words.append(word)
            word = ""
        else:
            word += char
    return [part.lower() for part in [*words, word]]


def _is_upper(char: str) -> bool:
    return "A" <= char <= "Z"


def _is_lower(char: str) -> bool:
    return "a" <= char <= "z"


_same: Callable[[Any], Any] = lambda value: value  # noqa: E731 - the counterpart of mark_unsafe
