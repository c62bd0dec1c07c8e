# SPDX-License-Identifier: Apache-2.0
"""crds/ and plugins/plugin_utils/spec/custom_kinds.py, from the YAML files beside this one and core-schemas.json."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.media.immich.plugins.plugin_utils.kube.kinds import KINDS
from ansible_collections.media.immich.plugins.plugin_utils.spec import variables
from ansible_collections.media.immich.plugins.plugin_utils.spec.names import Component, spec_key
from hack.crd import sources
from hack.crd.sources import Source
from hack.writing import kustomization, yaml_text

Schema = dict[str, Any]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CRDS = ROOT / "crds"
CUSTOM_KINDS = ROOT / "plugins" / "plugin_utils" / "spec" / "custom_kinds.py"
MAX_COMPACT_BYTES = 200_000  # client-side apply stores the object in an annotation, which holds 256 KiB in all
HEADER = "# Written by `make generate` from hack/crd/{source}; edit that file instead.\n---\n"
WHY_A_FOLDER = (
    "Lets config/crd use the files of this folder; kustomize reads no single files from outside its own folder."
)

ROW_NUMBERS = {row.kind: number for number, row in enumerate(KINDS)}
CUSTOM_KINDS_TEXT = '''\
# SPDX-License-Identifier: Apache-2.0
"""Our kinds, and where each names other objects. Written by `make generate` from hack/crd/*.yaml."""

from __future__ import annotations

from ..kube.kinds import KnownKind

__all__ = ["CUSTOM_KINDS", "REFERS"]

CUSTOM_KINDS = [
{rows}]

REFERS: dict[str, dict[str, list[str]]] = {{
{tables}}}
"""By the kind of the custom resource and of what it names: the paths of the names."""
'''

KEYWORDS = {
    "type", "format", "description", "default", "nullable", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength",
    "maxItems", "maxProperties", "required", "properties", "additionalProperties", "items", "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type", "x-kubernetes-validations",
}  # fmt: skip


class Expander:
    """Turns the abbreviations of a source into a structural schema."""

    def __init__(self, shared: dict[str, Schema], core: dict[str, Schema]) -> None:
        self.refers: dict[str, list[str]] = {}
        """By kind, the paths of the fields that name an object of it, in the order of the schema."""
        self._shared = shared
        self._core = core

    def expand(self, node: Schema, path: str) -> Schema:
        """The structural schema for `node`; ValueError naming `path` if the source holds a key that it cannot."""
        node = self._resolved(node)
        if (name := node.pop("variables", None)) is not None:
            if (component := Component(name)) not in variables.TABLE:
                raise ValueError(f"{path}: {name} has no variables in plugins/plugin_utils/spec/variables.py")
            node["items"].setdefault("rules", []).extend(variable_rules(component))
        if (kind := node.pop("refers", None)) is not None:
            if kind not in ROW_NUMBERS:
                raise ValueError(f"{path}: refers to {kind}, which has no row in plugins/plugin_utils/kube/kinds.py")
            self.refers.setdefault(kind, []).append(path.removeprefix("."))
        rules = [validation(rule) for rule in node.pop("rules", [])]
        if node.pop("conditional-variables", False):
            rules += conditional_variable_rules()
        if (volume := node.pop("volume", None)) is not None:
            rules += volume_rules(volume.get("at", ""), volume.get("switches", []))
        node = _opened(node)
        if unknown := node.keys() - KEYWORDS:
            raise ValueError(f"{path}: {', '.join(sorted(unknown))} is no keyword of a structural schema")
        for name, child in node.get("properties", {}).items():
            node["properties"][name] = with_default_shown(self.expand(child, f"{path}.{name}"))
        if "additionalProperties" in node:
            node.pop("properties", None)  # a mapping has either known keys or any
        for key in ("items", "additionalProperties"):
            if key in node:
                node[key] = self.expand(node[key], f"{path}[]")
        if rules:
            node["x-kubernetes-validations"] = rules
        return node

    def _resolved(self, node: Schema) -> Schema:
        """A copy of `node` with `use` and `core` replaced by what they name."""
        node = copy.deepcopy(node)
        while "use" in node or "core" in node:
            base = self._shared[node.pop("use")] if "use" in node else self._core[node.pop("core")]
            node = merged(copy.deepcopy(base), node)
        return node


def _opened(node: Schema) -> Schema:
    """Without `levels`."""
    levels = node.pop("levels", None)
    return node if levels is None else {**node, "additionalProperties": any_value(levels - 1)}


DEEPEST_IN_A_LIST = 2
"""Levels below an entry of a list. Each level of `any_value` says all of the next one twice, were it not for this."""


def any_value(levels: int) -> Schema:
    """Any JSON value in which mappings and lists are nested at most so many levels deep.

    A schema can't refer to itself, and what has no type is only bounded by keywords that other types ignore. A null that is
    not allowed would be removed.
    """
    anything = {"x-kubernetes-preserve-unknown-fields": True, "nullable": True}
    if levels == 0:
        return {**anything, "maxItems": 0, "maxProperties": 0}
    return {
        **anything,
        "additionalProperties": any_value(levels - 1),
        "items": any_value(min(levels - 1, DEEPEST_IN_A_LIST)),
    }


def with_default_shown(field: Schema) -> Schema:
    """`field` with the default of an object whose fields have defaults, and with a description that names its own."""
    if any("default" in child for child in field.get("properties", {}).values()):
        # The API server checks the rules of an object against its bare default, before nested defaults are filled in.
        field.setdefault("default", full_default(field) if "x-kubernetes-validations" in field else {})
    default = field.get("default")
    if default is not None and not isinstance(default, dict) and "description" in field:
        field["description"] += f" Default: {default if isinstance(default, str) else json.dumps(default)}."
    return field


def full_default(field: Schema) -> Any:
    """What the API server makes of a field that is not given."""
    if field.get("default", {}) != {}:
        return field["default"]
    return {name: full_default(child) for name, child in field.get("properties", {}).items() if "default" in child}


def merged(base: Schema, over: Schema) -> Schema:
    """`base` with `over` merged in: mappings key by key, rules appended, everything else replaced.

    Fields of `over` come before those of `base`, as what a component has of its own matters more to a reader.
    """
    result = base | over
    for key in base.keys() & over.keys():
        if key == "rules":
            result[key] = base[key] + over[key]
        elif key == "properties":
            result[key] = over[key] | merged(base[key], over[key])
        elif isinstance(base[key], dict):
            result[key] = merged(base[key], over[key])
    return result


def validation(rule: Schema) -> Schema:
    """One entry of x-kubernetes-validations."""
    result = {"rule": rule["rule"], "message": rule["message"]}
    if "at" in rule:
        result["fieldPath"] = rule["at"]
    if "reason" in rule:
        result["reason"] = rule["reason"]
    return result


CONDITIONS = {
    variables.When.METRICS: "self.immich.metrics.enabled",
    variables.When.FILE: "self.immich.configurationKind != 'None'",
}


def variable_rules(component: Component) -> list[Schema]:
    """What an entry of a component's `env` may not say, wherever the operator relies on another value."""
    return [
        {"rule": variable_rule("self", name, fixed), "message": f"{fixed.what(name)}. {fixed.instead}"}
        for name, fixed in variables.fixed_variables(component)
        if not fixed.when
    ]


def conditional_variable_rules() -> list[Schema]:
    """The same for what the operator relies on in some instances only; the rules are those of the whole spec."""
    return [
        {
            "rule": f"!({CONDITIONS[fixed.when]}) || !has({env}) || "
            f"{env}.all(entry, {variable_rule('entry', name, fixed)})",
            "message": f"{fixed.what(name)}. {fixed.instead}",
            "fieldPath": env.removeprefix("self"),
        }
        for component in (Component.SERVER, Component.MACHINE_LEARNING)
        for name, fixed in variables.fixed_variables(component)
        if fixed.when
        for env in [f"self.{spec_key(component)}.env"]
    ]


def variable_rule(entry: str, name: str, fixed: variables.Fixed) -> str:
    """True for other variables, for those whose value comes from elsewhere, and for the values that are fine."""
    fine = [f"{entry}.value == '{value}'" for value in fixed.values]
    fine += [f"{entry}.value.startsWith('{fixed.values[0]}/')"] if fixed.below else []
    return f"{entry}.name != '{name}' || has({entry}.valueFrom) || (has({entry}.value) && ({' || '.join(fine)}))"


def volume_rules(at: str, switches: list[str]) -> list[Schema]:
    """What may not change on a claim that the operator made before and still uses.

    `at` is the path from the object that carries the rules to the claim's fields, "" for the same object; `switches`
    are boolean fields that all have to be true for the claim to be used. A storage class that was not set may be set
    later: it may be the one that the volume got from the cluster. No access mode means ReadWriteOnce.
    """
    claim = f".{at}" if at else ""

    def managed(who: str) -> list[str]:
        own = f"{who}{claim}.existingClaim"
        return [f"{who}.{switch}" for switch in switches] + [f"(!has({own}) || {own} == '')"]

    def modes(who: str) -> str:
        return f"({who}{claim}.accessModes.size() == 0 ? ['ReadWriteOnce'] : {who}{claim}.accessModes)"

    def rule(field: str, holds: str, message: str) -> Schema:
        condition = " && ".join(managed("self") + managed("oldSelf"))
        return {
            "rule": f"!({condition}) || {holds}",
            "message": message,
            "fieldPath": f"{claim}.{field}",
            "reason": "FieldValueForbidden",
        }

    size, old_size = (f"quantity(string({who}{claim}.size))" for who in ("self", "oldSelf"))
    new_class, old_class = (f"{who}{claim}.storageClass" for who in ("self", "oldSelf"))
    return [
        rule(
            "size",
            # of what is no quantity another rule tells
            f"!isQuantity(string(self{claim}.size)) || !{size}.isLessThan({old_size})",
            "a volume cannot shrink. Set its present size or a larger one",
        ),
        rule(
            "storageClass",
            f"!has({old_class}) || (has({new_class}) && {new_class} == {old_class})",
            "the storage class of an existing volume cannot change. Set it back, or move the data to a claim of your"
            " own and name that in existingClaim",
        ),
        rule(
            "accessModes",
            f"{modes('self')}.all(mode, mode in {modes('oldSelf')}) && {modes('oldSelf')}.all(mode, mode in"
            f" {modes('self')})",
            "the access modes of an existing volume cannot change. Set them back, or move the data to a claim of your"
            " own and name that in existingClaim",
        ),
    ]


def crd(resource: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """The CustomResourceDefinition around the schema."""
    kind, plural = resource["kind"], resource["plural"]
    optional = {key: resource[key] for key in ("shortNames", "categories") if key in resource}
    columns = {"additionalPrinterColumns": resource["columns"]} if "columns" in resource else {}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{resource['group']}"},
        "spec": {
            "group": resource["group"],
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                **optional,
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": resource["version"],
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    **columns,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


class Made(NamedTuple):
    """What a source becomes."""

    source: Source
    document: dict[str, Any]
    """The CustomResourceDefinition."""
    refers: dict[str, list[str]]
    """By kind, the paths of the fields that name an object of it."""

    @property
    def text(self) -> str:
        return HEADER.format(source=self.source.file.name) + yaml_text(self.document)


@functools.cache
def all_of_them() -> tuple[Made, ...]:
    """What the sources become, in their order. Do not change it.

    Raises:
        ValueError: a source holds what it cannot, or a CRD grew beyond what client-side apply takes.
    """
    core = json.loads((HERE / "core-schemas.json").read_text(encoding="utf-8"))
    shared = shared_by_all()
    found = []
    for source in sources.all_of_them():
        expander = Expander(shared, core)
        document = crd(source.resource, expander.expand(source.schema, ""))
        size = len(json.dumps(document, separators=(",", ":")).encode())
        if size >= MAX_COMPACT_BYTES:
            raise ValueError(
                f"the CRD of {source.kind} has {size} bytes as compact JSON, at most {MAX_COMPACT_BYTES - 1} are allowed"
            )
        found.append(Made(source, document, expander.refers))
    return tuple(found)


def files() -> dict[Path, str]:
    """{file: text}; ValueError as in `all_of_them`."""
    made = all_of_them()
    names = sorted(one.source.crd_file.name for one in made)
    return {
        **{one.source.crd_file: one.text for one in made},
        CRDS / "kustomization.yaml": kustomization(names, WHY_A_FOLDER),
        CUSTOM_KINDS: custom_kinds(made),
    }


def shared_by_all() -> dict[str, Schema]:
    """What stands under `shared` of any source; ValueError where two sources mean different things by one name."""
    found: dict[str, Schema] = {}
    for source in sources.all_of_them():
        for name, schema in source.shared.items():
            if found.setdefault(name, schema) != schema:
                raise ValueError(f"{source.file.name}: another source shares something else as {name}; rename it")
    return found


def custom_kinds(made: Sequence[Made]) -> str:
    """The text of the Python module that tells passes which kinds of custom resources there are, and their references."""
    rows = ""
    tables = ""
    for source, _document, refers in made:
        rows += f'    KnownKind("{source.api_version}", "{source.kind}", "{source.plural}"),\n'
        tables += f'    "{source.kind}": {{\n'
        for referred in sorted(refers, key=ROW_NUMBERS.__getitem__):
            lines = "".join(f'            "{path}",\n' for path in refers[referred])
            tables += f'        "{referred}": [\n{lines}        ],\n'
        tables += "    },\n"
    return CUSTOM_KINDS_TEXT.format(rows=rows, tables=tables)
