# SPDX-License-Identifier: Apache-2.0
"""docs/reference/fields.md, from hack/crd/*.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.media.immich.plugins.plugin_utils.spec.names import KIND
from hack.crd import generate as crds
from hack.crd.generate import Made

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "fields.md"

INTRODUCTION = """\
# Fields

<!-- Made by `make generate` from hack/crd/; do not edit. -->

The API server fills in the defaults below and refuses what the column *Allowed* and the rules exclude, with a
message that says what to do. `kubectl explain immich.spec --recursive` shows the same in a terminal. The path of a
field, as messages name it, is its anchor on this page: [#spec.server.image](#spec.server.image).

ResourceRequirements, Affinity, EnvVar and the like are Kubernetes types; `kubectl explain` describes them too.
What each action does to your data is in [Data safety](../explanation/data-safety.md).
"""

SECTIONS = {"Spec": "spec", "Status": "status"}
"""{heading: path} of a kind whose source does not say"""

KUBERNETES_TYPES = {
    "affinity": "Affinity",
    "env": "list of EnvVar",
    "envFrom": "list of EnvFromSource",
    "imagePullSecrets": "list of LocalObjectReference",
    "podSecurityContext": "PodSecurityContext",
    "resources": "ResourceRequirements",
    "securityContext": "SecurityContext",
    "tolerations": "list of Toleration",
}

Schema = Mapping[str, Any]


class Field(NamedTuple):
    path: str
    schema: Schema


def files() -> dict[Path, str]:
    """{file: text}"""
    return {PAGE: "\n".join([INTRODUCTION, *(part for made in crds.all_of_them() for part in chapter(made))])}


def chapter(made: Made) -> Iterator[str]:
    """What the page says of one kind."""
    source = made.source
    root: Schema = made.document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    sections: Mapping[str, str] = source.resource.get("sections", SECTIONS)
    place = "" if source.kind == KIND else f"{source.kind}."
    yield (
        f"## {source.kind}\n\nAPI `{source.api_version}`, kind `{source.kind}`, plural `{source.plural}`."
        f" {root['description']}\n"
    )
    for heading, path in sections.items():
        node = at(root, path)
        elsewhere = tuple(name for name in node.get("properties", ()) if f"{path}.{name}" in sections.values())
        rows = [row(field, f"{place}{path}") for field in fields(node, "", elsewhere)]
        yield f"### {heading}\n\n{_anchored(place + path, path)}: {node.get('description', '')}\n\n{table(rows)}"
        rules = list(dict.fromkeys(messages(node, elsewhere)))
        if rules:
            yield "Refused, with this message:\n\n" + "\n".join(f"- {_sentence(rule)}" for rule in rules) + "\n"
    if about_the_name := [f"- {_sentence(rule['message'])}\n" for rule in root.get("x-kubernetes-validations", ())]:
        yield "### The name\n\nRefused at creation, with this message:\n\n" + "".join(about_the_name)


def at(node: Schema, path: str) -> Schema:
    """The schema of the field at `path`, for example spec.server.ingress.hosts[].host; KeyError if there is none."""
    for key in path.replace("[]", ".[]").split("."):
        node = node["items"] if key == "[]" else node["properties"][key]
    return node


def fields(node: Schema, prefix: str, without: tuple[str, ...] = ()) -> Iterator[Field]:
    """The fields below a node, each before those below it. Kubernetes' own types have no descriptions: not entered."""
    for name, child in node.get("properties", {}).items():
        if name in without:
            continue
        path = f"{prefix}{name}"
        if child.get("description"):
            yield Field(path, child)
        inner, inner_path = (child["items"], f"{path}[]") if "items" in child else (child, path)
        if _is_described(inner):
            yield from fields(inner, f"{inner_path}.")


def _is_described(node: Schema) -> bool:
    return any(
        child.get("description") or _is_described(child.get("items", child))
        for child in node.get("properties", {}).values()
    )


def anchor(path: str) -> str:
    """Where the page tells of a field: its path as messages name it, such as spec.server.ingress.hosts.host."""
    return path.replace("[]", "")


def _anchored(path: str, shown: str) -> str:
    return f'<a id="{anchor(path)}"></a>`{shown}`'


def row(field: Field, base: str) -> tuple[str, str, str, str]:
    """The cells of a field; `base` is the path of what `field.path` is below."""
    meaning, default = description_and_default(field.schema)
    kind = type_name(field)
    limits = allowed(field.schema)
    name = _anchored(f"{base}.{field.path}", field.path)
    return name, f"{kind}{'; ' + limits if limits else ''}", default, meaning


def description_and_default(node: Schema) -> tuple[str, str]:
    """("Run the server.", "`true`"): the default is the schema's, else what the description says of it."""
    text = str(node["description"])
    match = re.search(r"\s*Default(?P<when> for [^:]+)?: (?P<value>.*)$", text)
    if not match:
        return text, ""
    meaning = text[: match.start()]
    if node.get("default") is not None and not isinstance(node["default"], dict):
        value = node["default"]
        return meaning, f"`{value if isinstance(value, str) else json.dumps(value)}`"
    return meaning, f"{match['when'].strip() + ': ' if match['when'] else ''}{match['value'].rstrip('.')}"


def type_name(field: Field) -> str:
    name = field.path.rpartition(".")[2]
    node = field.schema
    if name in KUBERNETES_TYPES and not _is_described(node.get("items", node)):
        return KUBERNETES_TYPES[name]
    if node.get("x-kubernetes-int-or-string"):
        return "quantity, such as `10Gi`"
    if _is_open(node):
        return f"any keys, nested at most {levels(node)} levels"
    if node["type"] == "array":
        inner = node["items"]
        return "list" if inner["type"] == "object" else f"list of {_plain(inner)}"
    if node["type"] == "object":
        return f"map of {_plain(node['additionalProperties'])}" if "additionalProperties" in node else "object"
    return _plain(node)


def _is_open(node: Schema) -> bool:
    """Whether a mapping takes any keys and values."""
    return bool(node.get("additionalProperties", {}).get("x-kubernetes-preserve-unknown-fields"))


def levels(node: Schema) -> int:
    """How deep the mappings below an open one may be nested, itself included."""
    inner = node.get("additionalProperties")
    return 0 if inner is None else 1 + levels(inner)


def _plain(node: Schema) -> str:
    return {"date-time": "time", "int32": "integer", "int64": "integer"}.get(node.get("format", ""), str(node["type"]))


def allowed(node: Schema) -> str:
    """What the value is limited to, in words; "" for no limit that a person would meet."""
    inner = node.get("items", node) if node.get("type") == "array" else node
    words = []
    choices = [f"`{choice}`" for choice in inner.get("enum", ()) if choice != ""]
    if choices:
        words.append(", ".join(choices[:-1]) + f" or {choices[-1]}" if len(choices) > 1 else choices[0])
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and high is not None:
        words.append(f"{low} to {high}")
    elif low is not None:
        words.append(f"{low} or more")
    if "maxLength" in node and not node.get("x-kubernetes-int-or-string"):
        words.append(f"at most {node['maxLength']} characters")
    if node.get("required"):
        words.append("needs " + " and ".join(f"`{name}`" for name in node["required"]))
    return ", ".join(words)


def messages(node: Schema, without: tuple[str, ...] = ()) -> Iterator[str]:
    """The messages of all rules at and below a node."""
    yield from (rule["message"] for rule in node.get("x-kubernetes-validations", ()))
    for name, child in node.get("properties", {}).items():
        if name not in without:
            yield from messages(child)
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), Mapping):
            yield from messages(node[key])


def table(rows: list[tuple[str, str, str, str]]) -> str:
    lines = ["| Field | Allowed | Default | Meaning |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in rows]
    return "\n".join(lines) + "\n"


def _sentence(text: str) -> str:
    text = text.strip()
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")
