# SPDX-License-Identifier: Apache-2.0
"""What the API server does with a custom resource and a structural schema, without an API server.

Defaults follow k8s.io/apiextensions-apiserver `pkg/apiserver/schema/defaulting` (Kubernetes 1.37). Validation is left
to jsonschema; this module adds what Kubernetes has beyond JSON Schema and words the errors for people. Of rules in CEL
only those are checked here that compare a text with a pattern; of the others checks.py says the same in Python.
"""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

try:
    from jsonschema import Draft202012Validator, FormatChecker, ValidationError
    from jsonschema.validators import extend
except (
    ImportError
) as exc:  # for `problems` to raise: a failure while Ansible loads a plugin would end it with a traceback
    _lacking: ImportError | None = exc
else:
    _lacking = None

from .problems import Problem
from .suggestions import closest
from .values import cut

__all__ = ["Schema", "problems", "with_defaults"]

Schema = Mapping[str, Any]

_KIND_NAMES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a mapping",
    "string": "text",
}
# A value below such a field is never quoted: it may be a password that slipped into the wrong place.
_SECRET = re.compile(r"pass|secret|token|(?<!val)key|cert|credential|url|value|annotation", re.IGNORECASE)
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_LONGEST_QUOTE = 60
LONGEST_COMPARED = 4096
"""Characters of a text without a bound in the schema that is compared with a pattern."""


def with_defaults(schema: Schema, value: Any) -> Any:
    """A copy of `value` with defaults where a field is absent, or null in a field that may not be null.

    Such a null is dropped if there is no default. Nothing is added inside fields that the schema does not describe.
    """
    if isinstance(value, Mapping):
        return _mapping_with_defaults(schema, value)
    items = schema.get("items")
    if isinstance(value, list) and items is not None:
        return [
            with_defaults(
                items, copy.deepcopy(items["default"]) if _is_unset(items, item) and "default" in items else item
            )
            for item in value
        ]
    return copy.deepcopy(value)


def _mapping_with_defaults(schema: Schema, value: Mapping[str, Any]) -> dict[str, Any]:
    properties: Schema = schema.get("properties", {})
    others = schema.get("additionalProperties")
    given = dict(value)
    for name, child in properties.items():
        if "default" in child and (name not in given or _is_unset(child, given[name])):
            given[name] = child["default"]
    result = {}
    for name, item in given.items():
        child = properties.get(name, others)
        if not isinstance(child, Mapping):
            result[name] = copy.deepcopy(item)
        elif not _is_unset(child, item):
            result[name] = with_defaults(child, item)
    return result


def _is_unset(schema: Schema, value: Any) -> bool:
    return value is None and not schema.get("nullable", False)


def problems(schema: Schema, value: Any) -> list[Problem]:
    """Everything in `value` that the schema does not allow, unknown fields included, in the order of the document.

    `value` has its defaults already: a null in a field that may not be null is reported as a wrong type.
    """
    if _lacking:
        raise _lacking
    errors = _validator_class()(schema, format_checker=_formats()).iter_errors(value)
    found = [(list(error.absolute_path), _problem(error)) for error in errors]
    return [problem for _unused, problem in sorted(found, key=lambda pair: _document_order(value, pair[0]))]


def _document_order(document: Any, path: list[str | int]) -> list[int]:
    """A sort key: the position of each step of `path` among its siblings; a missing field comes last."""
    order: list[int] = []
    for step in path:
        siblings: list[Any] = list(document if isinstance(document, Mapping) else range(len(document)))
        if step not in siblings:
            return [*order, len(siblings)]
        order.append(siblings.index(step))
        document = document[step]
    return order


def _int_or_string(_unused: Any, wanted: bool, value: Any, __: Schema) -> Iterator[ValidationError]:
    if wanted and (isinstance(value, bool) or not isinstance(value, int | str)):
        yield ValidationError("neither a whole number nor text")


def _known_properties(validator: Any, properties: Schema, value: Any, schema: Schema) -> Iterator[ValidationError]:
    """Like `properties` of JSON Schema, but fields beside them are errors unless the schema is open."""
    yield from Draft202012Validator.VALIDATORS["properties"](validator, properties, value, schema)
    is_open = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields", False)
    if isinstance(value, Mapping) and not is_open:
        for name in value:
            if name not in properties:
                yield ValidationError("unknown", validator="unknown", path=[name], validator_value=list(properties))


def _required(_unused: Any, names: list[str], value: Any, __: Schema) -> Iterator[ValidationError]:
    """Like `required` of JSON Schema, but each error has the path of the field that is missing."""
    if isinstance(value, Mapping):
        for name in names:
            if name not in value:
                yield ValidationError("missing", validator="required", path=[name])


def _pattern(_unused: Any, pattern: str, value: Any, schema: Schema) -> Iterator[ValidationError]:
    """Like `pattern` of JSON Schema, in Go's dialect."""
    if _is_comparable(value, schema) and not _compiled(pattern).search(value):
        yield ValidationError("does not match")


def _is_comparable(value: Any, schema: Schema) -> bool:
    """Of a text that is too long only that is told: Python, unlike Go, may need more than its length in steps to compare it."""
    return isinstance(value, str) and len(value) <= schema.get("maxLength", LONGEST_COMPARED)


_TEXT_RULE = re.compile(r"(!?)(?:string\(self\)|self)\.matches\('([^']*)'\)")


def _rules(_unused: Any, rules: list[Schema], value: Any, schema: Schema) -> Iterator[ValidationError]:
    """The rules that compare a text with a pattern."""
    for rule in rules if _is_comparable(value, schema) else ():
        found = _TEXT_RULE.fullmatch(rule["rule"])
        if found and bool(_compiled(found[2].replace("\\\\", "\\")).search(value)) == bool(found[1]):
            yield ValidationError(rule["message"], validator="rule")


def _unique(_unused: Any, keys: list[str], items: Any, __: Schema) -> Iterator[ValidationError]:
    """Of a list that is a map: no two entries have the same keys."""
    seen = []
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, Mapping) and all(key in item for key in keys):
            key = [item[key] for key in keys]
            if key in seen:
                what = f"has the same {' and '.join(keys)} as an entry before it. Remove one, or give it another"
                yield ValidationError(what, validator="rule", path=[index])
            seen.append(key)


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """In Go `$` is the very end, in Python also the place before a line break that ends a text."""
    return re.compile(re.sub(r"(?<!\\)\$", r"\\Z", pattern), re.ASCII)


@functools.cache
def _validator_class() -> Any:
    keywords = {
        "x-kubernetes-int-or-string": _int_or_string,
        "x-kubernetes-list-map-keys": _unique,
        "x-kubernetes-validations": _rules,
        "properties": _known_properties,
        "required": _required,
        "pattern": _pattern,
    }
    return extend(Draft202012Validator, keywords)  # type: ignore[no-untyped-call]


@functools.cache
def _formats() -> FormatChecker:
    formats = FormatChecker(formats=())
    formats.checks("int32")(lambda value: not isinstance(value, int) or -(2**31) <= value < 2**31)
    formats.checks("int64")(lambda value: not isinstance(value, int) or -(2**63) <= value < 2**63)
    return formats


def _problem(error: ValidationError) -> Problem:
    path = list(error.absolute_path)
    where = error.validator
    wanted: Any = error.validator_value
    value: Any = error.instance
    shown = _quoted(path, value)
    match where:
        case "unknown":
            meant = closest(str(path[-1]), wanted)
            remedy = f"Did you mean {_written([*path[:-1], meant])}?" if meant else "Remove it"
            return Problem(_written(path), "there is no such field", remedy)
        case "required":
            return Problem(_written(path), "is required", "Set it")
        case "type":
            what = f"must be {_KIND_NAMES.get(wanted, wanted)}, not {shown}"
            return Problem(_written(path), what, _type_remedy(wanted, value))
        case "x-kubernetes-int-or-string":
            return Problem(_written(path), f"must be text or a whole number, not {shown}", "Put it in quotes")
        case "enum":
            allowed = [choice for choice in wanted if choice != ""]
            meant = closest(str(value), allowed)
            remedy = f"Did you mean {meant}?" if meant else "Choose one"
            return Problem(_written(path), f"must be one of {', '.join(map(str, allowed))}, not {shown}", remedy)
        case "rule":
            what, _unused, remedy = error.message.rpartition(". ")
            return Problem(_written(path), what, remedy)
        case "pattern":
            return Problem(_written(path), f"must match {wanted}, which {shown} does not", "Correct it")
        case "minimum" | "maximum":
            bound = "at least" if where == "minimum" else "at most"
            return Problem(_written(path), f"must be {bound} {wanted}, not {shown}", "Correct the number")
        case "minLength":
            return Problem(_written(path), "must not be empty", "Set it")
        case "maxLength" | "maxItems" | "maxProperties":
            unit = "characters" if where == "maxLength" else "entries"
            what = f"has {len(value)} {unit}, at most {wanted} are allowed" if wanted else "is nested too deep"
            return Problem(_written(path), what, "Shorten it" if wanted else "Make it flatter")
        case "format":
            return Problem(_written(path), f"must fit in {wanted}, which {shown} does not", "Correct the number")
        case _:
            return Problem(_written(path), f"does not satisfy {where}", "Compare it with the field reference")


def _type_remedy(wanted: str, value: Any) -> str:
    if value is None:
        return "Remove the field or give it a value"
    if wanted == "string" and not isinstance(value, Mapping | list):
        return "Put it in quotes"
    if wanted in ("boolean", "integer", "number") and isinstance(value, str):
        return f"Write {_KIND_NAMES[wanted]}, without quotes"
    return f"Write {_KIND_NAMES.get(wanted, wanted)}"


def _quoted(path: list[str | int], value: Any) -> str:
    """How a message may refer to `value`."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if _is_secret(path):
        return "this text" if isinstance(value, str) else f"{'a boolean' if isinstance(value, bool) else 'a number'}"
    text = json.dumps(value, ensure_ascii=False)
    return cut(text, _LONGEST_QUOTE)


def _is_secret(path: list[str | int]) -> bool:
    return any(isinstance(step, str) and _SECRET.search(step) for step in path)


def _written(path: Iterable[str | int]) -> str:
    """The path as a user reads it: spec.server.env[0].name, spec.server.podLabels["example.com/tier"]."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif not _PLAIN_KEY.fullmatch(str(step)):
            text += f"[{json.dumps(str(step), ensure_ascii=False)}]"
        else:
            text += f".{step}" if text else step
    return text
