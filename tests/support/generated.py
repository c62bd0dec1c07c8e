# SPDX-License-Identifier: Apache-2.0
"""Custom resources made at random from the CRD's own schema: such as the API server may store, and broken ones.

New fields of the CRD are tried without a change here. Words that stand for something, such as the name of a Secret, are
taken from WORDS more often than made up, so that what is generated is more often a resource that works.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from ansible_collections.media.immich.plugins.plugin_utils.kube.schema import _TEXT_RULE, _compiled
from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import API_VERSION, KIND, open_api_schema
from support.instances import NAME, NAMESPACE, UID

__all__ = ["broken", "from_schema", "resources", "texts", "values"]

Schema = Mapping[str, Any]

CLAIMS, SECRETS = (
    ("nas-library", "nas-database", "missing-claim"),
    ("immich-postgres", "immich-redis", "missing-secret"),
)
WORDS: Mapping[str, tuple[Any, ...]] = {
    "accessModes": ("ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod"),
    "apiVersion": ("v1", "apps/v1"),
    "claimName": CLAIMS,
    "clientSecretRef.name": ("immich-oauth",),
    "configMapRef.name": ("settings", "missing-settings"),
    "effect": ("NoSchedule", "NoExecute", "PreferNoSchedule", ""),
    "existingClaim": CLAIMS,
    "fieldPath": ("metadata.name", "metadata.labels['app']", "status.podIP"),
    "fsGroupChangePolicy": ("OnRootMismatch", "Always"),
    "host": ("photos.example.com", "db.example.com", "db", "10.0.0.9", "::1", "localhost", "*.example.com", "xn--e1afmkfd"),
    "hosts": ("photos.example.com", "*.example.com"),
    "image": (
        "ghcr.io/immich-app/immich-server:v3.1.0", "ghcr.io/immich-app/postgres:14-vectorchord0.4.3-pgvectors0.2.0",
        "registry:5000/immich@sha256:" + "0" * 64, "valkey/valkey:9-alpine", "v2", "immich:release",
    ),
    "key": ("password", "url", "username", "app.kubernetes.io/name", "example.com/tier"),
    "keys": ("app.kubernetes.io/name", "example.com/tier", "tier", "a", "app.kubernetes.io/instance"),
    "labels": ("photos", "", "a.b_c-d"),
    "mountPath": ("/mnt/pictures", "/data/more", "/data", "/"),
    "name": (*SECRETS, *CLAIMS, "settings", "cache", "server"),
    "env.name": (
        "TZ", "IMMICH_PORT", "IMMICH_HOST", "IMMICH_LOG_LEVEL", "IMMICH_MEDIA_LOCATION", "IMMICH_CONFIG_FILE",
        "IMMICH_TELEMETRY_INCLUDE", "DB_URL", "DB_HOSTNAME", "DB_PASSWORD", "REDIS_HOSTNAME", "REDIS_URL",
        "MACHINE_LEARNING_CACHE_FOLDER", "NO_PROXY", "my.own-variable",
    ),
    "namespaces": ("family", "default"),
    "operator": ("In", "NotIn", "Exists", "DoesNotExist", "Equal", "Gt"),
    "path": ("/", "/photos", "/api/socket.io", ""),
    "pathType": ("Prefix", "Exact", "ImplementationSpecific"),
    "procMount": ("Default", "Unmasked"),
    "quantity": ("1Gi", "500m", "2", 1, "0", "1e3", "1.5Ti", "100n", "10Gi"),
    "resource": ("limits.cpu", "requests.memory"),
    "resources": ("cpu", "memory", "ephemeral-storage", "nvidia.com/gpu", "hugepages-2Mi"),
    "storageClass": ("standard", "fast", ""),
    "topologyKey": ("kubernetes.io/hostname", "topology.kubernetes.io/zone"),
    "type": ("RuntimeDefault", "Unconfined", "Localhost"),
    "url": ("http://ml:3003", "https://photos.example.com"),
    "value": ("x", "", "/data", "2283", "8081", "$(DB_HOSTNAME)", "$$", "{{ y }}", "true"),
    "values": ("a", "b"),
    "whenUnsatisfiable": ("DoNotSchedule", "ScheduleAnyway"),
}  # fmt: skip
"""By the name of the field or, where that says too little, by that of the one around it too."""

EXTREMES = (
    "0",
    "-1",
    "true",
    "null",
    "~",
    "é",
    "🖼",
    "\u202e",
    "\x00",
    "\n",
    "\x1b[31m",
    "{{ x }}",
    "$(x)",
    "%s",
    "a" * 300,
)
_TAGS = ("ffmpeg", "job", "logging", "machineLearning", "notifications", "oauth", "server", "smtp", "storageTemplate",
         "transport", "template", "enabled", "level", "passwordSecretRef", "clientSecretRef", "name", "key", "url", "urls",
         "clientSecret", "password", "host", "port", "externalDomain", "crf", "concurrency", "cronExpression")  # fmt: skip
"""Names in Immich's own settings, which the schema leaves open."""

texts = st.sampled_from(EXTREMES) | st.text(max_size=12)
_keys = st.sampled_from(_TAGS) | st.text(max_size=8)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)


def values(levels: int) -> st.SearchStrategy[Any]:
    """JSON of at most so many levels."""
    if levels <= 0:
        return _scalars
    inner = values(levels - 1)
    mappings = st.dictionaries(_keys, inner, max_size=3)
    return _scalars | mappings | mappings | st.lists(inner, max_size=3)


def from_schema(schema: Schema, path: tuple[str, ...] = ()) -> st.SearchStrategy[Any]:
    """Values that a structural schema of Kubernetes allows, rules between fields aside; `path` are the names around."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    made = _typed(schema, path)
    return made | st.none() if schema.get("nullable") else made


def _typed(schema: Schema, path: tuple[str, ...]) -> st.SearchStrategy[Any]:
    pattern = _pattern(schema)
    if schema.get("x-kubernetes-int-or-string"):
        words = WORDS["quantity"] if pattern else (80, "http", "50%", 0)
        return _mostly(words, st.from_regex(pattern) if pattern else st.integers(0, 2**31 - 1) | texts)
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        return _object(schema, path)
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        if schema["additionalProperties"].get("x-kubernetes-preserve-unknown-fields"):
            inner = st.deferred(lambda: from_schema(schema["additionalProperties"]))
            return _with_required(schema, st.dictionaries(_keys, inner, max_size=3))
        return _map(schema, path)
    if kind == "object" or kind is None:
        return st.dictionaries(_keys, values(2), max_size=3) if kind else _anything(schema)
    if kind == "array":
        inner = from_schema(schema.get("items", {}), path)
        keys = schema.get("x-kubernetes-list-map-keys")
        return st.lists(
            inner,
            min_size=schema.get("minItems", 0),
            max_size=min(3, schema.get("maxItems", 3)),
            unique_by=(lambda item: tuple(str(item.get(key)) for key in keys)) if keys else None,
        )
    if kind == "boolean":
        return st.booleans()
    if kind in ("integer", "number"):
        bits = 63 if schema.get("format") == "int64" else 31
        least, most = schema.get("minimum", -(2**bits)), schema.get("maximum", 2**bits - 1)
        usual = [number for number in (0, 1, 2, 999, 8080) if least <= number <= most]
        anything = st.integers(least, most) if kind == "integer" else st.floats(least, most)
        return _mostly(usual, anything) if usual else anything
    return _text(schema, path, pattern)


def _mostly(words: Sequence[Any], others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Nine of ten times one of the words."""

    @st.composite
    def build(draw: st.DrawFn) -> Any:
        chosen = draw(st.integers(0, 10 * len(words)))
        return words[chosen % len(words)] if chosen < 9 * len(words) else draw(others)

    return build()


def _pattern(schema: Schema) -> re.Pattern[str] | None:
    """What a text has to match, by the schema itself or by a rule about nothing but the text."""
    found = [schema["pattern"]] if "pattern" in schema else _of_rules(schema, negated=False)
    return _compiled(found[0]) if found else None


def _of_rules(schema: Schema, *, negated: bool) -> list[str]:
    """The patterns that a text has to match, or must not, by rules about nothing but the text."""
    rules = [_TEXT_RULE.fullmatch(rule["rule"]) for rule in schema.get("x-kubernetes-validations", ())]
    return [rule[2].replace("\\\\", "\\") for rule in rules if rule and bool(rule[1]) is negated]


def _text(schema: Schema, path: tuple[str, ...], pattern: re.Pattern[str] | None) -> st.SearchStrategy[str]:
    least, most = schema.get("minLength", 0), min(schema.get("maxLength", 300), 300)
    if schema.get("format") == "date-time":
        return st.just("2026-01-01T00:00:00Z")

    refused = [_compiled(each) for each in _of_rules(schema, negated=True)]

    def fits(text: str) -> bool:
        is_long_enough = least <= len(text) <= most
        is_taken = (pattern is None or pattern.search(text) is not None) and not any(
            each.search(text) for each in refused
        )
        return is_long_enough and is_taken

    words = [word for word in _words(path) if isinstance(word, str) and fits(word)]
    anything = (st.from_regex(pattern, alphabet=st.characters(max_codepoint=126)) if pattern else texts).filter(fits)
    return _mostly(words, anything) if words else anything


def _words(path: tuple[str, ...]) -> tuple[Any, ...]:
    return WORDS.get(".".join(path[-2:])) or (WORDS.get(path[-1], ()) if path else ())


def _map(schema: Schema, path: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    words = "resources" if path[-1:] in (("limits",), ("requests",)) else "keys"
    keys = _mostly(WORDS[words], texts)
    inner = from_schema(schema["additionalProperties"], (*path, "labels"))
    some = st.dictionaries(keys, inner, max_size=min(3, schema.get("maxProperties", 3)))
    return _with_required(schema, some)


def _anything(schema: Schema) -> st.SearchStrategy[Any]:
    """What has no type, as deep as the schema says."""
    below, items = schema.get("additionalProperties"), schema.get("items")
    if not below and not items and "maxItems" not in schema:
        return values(3)
    made = _scalars
    if below and schema.get("maxProperties") != 0:
        made |= st.dictionaries(_keys, st.deferred(lambda: from_schema(below)), max_size=2)
    if items and schema.get("maxItems") != 0:
        made |= st.lists(st.deferred(lambda: from_schema(items)), max_size=2)
    return made


def _with_required(schema: Schema, mappings: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """The mappings with a text for each key that has to be there."""
    needed = st.fixed_dictionaries({name: st.sampled_from(["first", "second"]) for name in schema.get("required", ())})
    return st.builds(lambda found, also: {**found, **also}, mappings, needed) if schema.get("required") else mappings


def _object(schema: Schema, path: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """Each field that is required, and a few others."""
    fields = {name: st.deferred(lambda name=name, below=below: from_schema(below, (*path, name)))
              for name, below in schema["properties"].items()}  # fmt: skip
    required = [name for name in schema.get("required", ()) if name in fields]
    optional = [name for name in fields if name not in required]
    some = (
        st.lists(st.sampled_from(optional), unique=True, max_size=4 if len(path) < 3 else 2)
        if optional
        else st.just([])
    )

    @st.composite
    def build(draw: st.DrawFn) -> dict[str, Any]:
        return {name: draw(fields[name]) for name in [*required, *draw(some)]}

    return build()


_SPECS = st.deferred(lambda: from_schema(open_api_schema()["properties"]["spec"], ("spec",)))
_NAMES = st.sampled_from([NAME] * 16 + ["a", "p" * 43, "p" * 56, "photos.x", "1"])


@st.composite
def resources(draw: st.DrawFn) -> dict[str, Any]:
    """An Immich as somebody writes it. By its schema it is well-formed; a rule between fields may still refuse it."""
    metadata = {"name": draw(_NAMES), "namespace": NAMESPACE, "uid": UID, "generation": 1}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": draw(_SPECS)}


def _deep(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


_WRONG = st.one_of(
    st.sampled_from([None, True, 0, -1, 2**63 - 1, -(2**63), 1e308, 0.5, "", [], {}, [None], {"": None}]),
    texts,
    st.sampled_from(
        ["x" * 5_000, "é" * 70_000, "a\nb", "\x7f", "\u2028", "\ufeff", "{{ lookup('env', 'HOME') }}", "-" * 253]
    ),
    st.sampled_from([12, 60, 99, 150]).map(_deep),
    st.sampled_from([200, 3_000]).map(lambda number: {f"k{index}": index for index in range(number)}),
    st.sampled_from([200, 3_000]).map(lambda number: [{"name": str(index)} for index in range(number)]),
    values(2),
)


@st.composite
def broken(draw: st.DrawFn) -> dict[str, Any]:
    """A well-formed Immich with one thing in it that is something else than it should be, or that nobody knows."""
    cr = copy.deepcopy(draw(resources()))
    places = [
        place for place in _places(cr) if place[0] is not cr or place[1] not in ("apiVersion", "kind", "metadata")
    ]
    inside, key = draw(st.sampled_from([place for place in places if place[0] is not cr["metadata"]]))
    wrong = copy.deepcopy(draw(_WRONG))
    where = inside[key] if isinstance(inside[key], dict) and draw(st.booleans()) else inside
    where[draw(texts) if where is not inside else key] = wrong
    return cr


def _places(value: Any) -> list[tuple[Any, Any]]:
    """(mapping or list, key or position) of everything in it."""
    here = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in here for place in ((value, key), *_places(item))]
