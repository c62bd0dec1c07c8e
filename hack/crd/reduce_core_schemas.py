# SPDX-License-Identifier: Apache-2.0
"""Write core-schemas.json: the Kubernetes types that the CRD takes over, without descriptions.

Run it when a new Kubernetes release adds fields; the input are OpenAPI v3 documents of an API server, one after another:

    for group in api/v1 apis/autoscaling/v2 apis/networking.k8s.io/v1; do
      kubectl get --raw "/openapi/v3/$group"
    done | python hack/crd/reduce_core_schemas.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

OUTPUT = Path(__file__).with_name("core-schemas.json")
PREFIX = "io.k8s.api.core.v1."
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
TYPES = [
    "Affinity",
    "EnvFromSource",
    "EnvVar",
    "HostAlias",
    "LocalObjectReference",
    "PodDNSConfig",
    "PodResourceClaim",
    "PodSecurityContext",
    "ResourceRequirements",
    "SecurityContext",
    "Toleration",
    "TopologySpreadConstraint",
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior",
    "io.k8s.api.networking.v1.NetworkPolicyPeer",
]
"""Those of the core group without its prefix."""
LEFT_OUT = {
    "description",
    "default",
    "x-kubernetes-unions",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-patch-strategy",
}
# The published enums leave out the empty string, which the API server takes for "not set" in these fields.
EMPTY_ALLOWED = {"Toleration": ["effect", "operator"]}
# Fields without which the API server refuses the pod, although the published schema calls them optional.
REQUIRED = {
    "ConfigMapEnvSource": ["name"],
    "ConfigMapKeySelector": ["name", "key"],
    "SecretEnvSource": ["name"],
    "SecretKeySelector": ["name", "key"],
}
# Types whose field `name` names another object, and of which kind, None for any; objectName is a schema that immich.yaml
# shares.
NAMED = {
    "ConfigMapEnvSource": "ConfigMap",
    "ConfigMapKeySelector": "ConfigMap",
    "SecretEnvSource": "Secret",
    "SecretKeySelector": "Secret",
    "LocalObjectReference": None,
}


def inlined(name: str, definitions: dict[str, Schema]) -> Schema:
    """The schema of one type with all references resolved, reduced to what a structural schema may contain."""
    if name == QUANTITY:
        return {"use": "quantity"}
    schema = reduced(definitions[name], definitions)
    short = name.removeprefix(PREFIX)
    if short in NAMED:
        refers = {"refers": NAMED[short]} if NAMED[short] else {}
        schema["properties"]["name"] = {"use": "objectName", **refers}
    for field in EMPTY_ALLOWED.get(short, []):
        schema["properties"][field]["enum"].append("")
    for field in REQUIRED.get(short, []):
        schema["properties"][field]["minLength"] = 1
        schema["required"] = sorted({*schema.get("required", []), field})
    return schema


def reduced(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Without descriptions; without defaults, which in Go only say that a required field is not a pointer."""
    reference = schema.get("$ref") or next((part["$ref"] for part in schema.get("allOf", [])), None)
    if reference:
        return inlined(reference.rpartition("/")[2], definitions)
    result = {key: value for key, value in schema.items() if key not in LEFT_OUT}
    if result.get("x-kubernetes-list-type") == "atomic":  # what a custom resource has anyway
        del result["x-kubernetes-list-type"]
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), dict):
            result[key] = reduced(result[key], definitions)
    if "properties" in result:
        result["properties"] = {key: reduced(value, definitions) for key, value in result["properties"].items()}
    return result


def main() -> None:
    """Read the OpenAPI documents on standard input, write OUTPUT."""
    definitions: dict[str, Schema] = {}
    text, start = sys.stdin.read().strip(), 0
    while start < len(text):
        document, end = json.JSONDecoder().raw_decode(text, start)
        definitions |= document["components"]["schemas"]
        start = end + len(text[end:]) - len(text[end:].lstrip())
    schemas = {name.rpartition(".")[2]: inlined(name if "." in name else PREFIX + name, definitions) for name in TYPES}
    OUTPUT.write_text(json.dumps(schemas, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
