# SPDX-License-Identifier: Apache-2.0
"""Write docs/reference/fields.md from crds/media.rm3l.org_immiches.yaml.

python hack/docs/fields.py            write the page
python hack/docs/fields.py --check    fail if the page is not what would be written
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.media.immich.plugins.plugin_utils.spec import crd
from hack.writing import written_or_checked

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "fields.md"

INTRODUCTION = """\
# Fields of an Immich

<!-- Made by `python hack/docs/fields.py` from crds/media.rm3l.org_immiches.yaml; do not edit. -->

API `media.rm3l.org/v1alpha1`, kind `Immich`, plural `immiches`. Every field is optional: an Immich without a `spec` is
complete. The API server fills in the defaults below and refuses what the column *Allowed* and the rules rule out, with
a message that says what to do. `kubectl explain immich.spec --recursive` shows the same in a terminal.

ResourceRequirements, Affinity, EnvVar and the like are types of Kubernetes; `kubectl explain` describes them too.
What each action does to your data is in [Data safety](../explanation/data-safety.md).
"""

SECTIONS = (
    ("All components", "spec", ("immich", "server", "machineLearning", "valkey", "postgres")),
    ("Library, metrics and configuration", "spec.immich", ()),
    ("Server", "spec.server", ()),
    ("Machine learning", "spec.machineLearning", ()),
    ("Valkey", "spec.valkey", ()),
    ("PostgreSQL", "spec.postgres", ()),
    ("Status", "status", ()),
)
"""(heading, path, fields that have a section of their own)"""

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


def main() -> int:
    return written_or_checked({PAGE: page(schema())}, "hack/docs/fields.py", is_check="--check" in sys.argv[1:])


def schema() -> Schema:
    """The schema of a whole Immich."""
    found: Schema = crd.open_api_schema()
    return found


def page(root: Schema) -> str:
    parts = [INTRODUCTION]
    for heading, path, elsewhere in SECTIONS:
        node = at(root, path)
        rows = [row(field) for field in fields(node, "", elsewhere)]
        parts.append(f"## {heading}\n\n`{path}`: {node.get('description', '')}\n\n{table(rows)}")
        rules = list(dict.fromkeys(messages(node, elsewhere)))
        if rules:
            parts.append("Refused, with this message:\n\n" + "\n".join(f"- {_sentence(rule)}" for rule in rules) + "\n")
    parts.append(
        "## The name\n\nRefused at creation, with this message:\n\n"
        + "\n".join(f"- {_sentence(rule['message'])}" for rule in root.get("x-kubernetes-validations", ()))
        + "\n"
    )
    return "\n".join(parts)


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


def row(field: Field) -> tuple[str, str, str, str]:
    meaning, default = description_and_default(field.schema)
    kind = type_name(field)
    limits = allowed(field.schema)
    return f"`{field.path}`", f"{kind}{'; ' + limits if limits else ''}", default, meaning


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
    if node.get("x-kubernetes-preserve-unknown-fields"):
        return "any keys"
    if node["type"] == "array":
        inner = node["items"]
        return "list" if inner["type"] == "object" else f"list of {_plain(inner)}"
    if node["type"] == "object":
        return f"map of {_plain(node['additionalProperties'])}" if "additionalProperties" in node else "object"
    return _plain(node)


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


if __name__ == "__main__":
    sys.exit(main())
