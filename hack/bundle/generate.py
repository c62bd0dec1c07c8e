# SPDX-License-Identifier: Apache-2.0
"""The OLM bundle in bundle/, from base.yaml, config/ and hack/crd/*.yaml."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from hack import components, rbac, samples, watches
from hack.crd import generate as crds
from hack.crd import sources
from hack.crd.sources import Source
from hack.writing import yaml_text
from immich_operator.kube.resources import Kind

Manifest = dict[str, Any]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CONFIG = ROOT / "config"
BUNDLE = ROOT / "bundle"
PACKAGE = "immich-operator"
CHANNEL = "alpha"
PREFIX = "immich-operator-"
"""The name prefix of config/default."""
MADE_BY = "# Written by `make generate`; edit hack/bundle/base.yaml, config/ or hack/crd/ instead.\n"
"""Without `---`: OLM reads the first document of a file, and that would be this line alone."""
ANNOTATIONS = {
    "operators.operatorframework.io.bundle.mediatype.v1": "registry+v1",
    "operators.operatorframework.io.bundle.manifests.v1": "manifests/",
    "operators.operatorframework.io.bundle.metadata.v1": "metadata/",
    "operators.operatorframework.io.bundle.package.v1": PACKAGE,
    "operators.operatorframework.io.bundle.channels.v1": CHANNEL,
    "operators.operatorframework.io.bundle.channel.default.v1": CHANNEL,
    "com.redhat.openshift.versions": "v4.16",
}
DOCKERFILE = """\
# Written by `make generate`. Build it in this folder.
FROM scratch
{labels}
COPY manifests /manifests/
COPY metadata /metadata/
"""


def files() -> dict[Path, str]:
    """{file: text}"""
    labels = "\n".join(f'LABEL {name}="{value}"' for name, value in ANNOTATIONS.items())
    manifests = BUNDLE / "manifests"
    return {
        manifests / f"{PACKAGE}.clusterserviceversion.yaml": MADE_BY + yaml_text(cluster_service_version()),
        **{manifests / m.source.crd_file.name: m.text.replace("\n---\n", "\n", 1) for m in crds.all_of_them()},
        BUNDLE / "metadata" / "annotations.yaml": MADE_BY + yaml_text({"annotations": ANNOTATIONS}),
        BUNDLE / "Dockerfile": DOCKERFILE.format(labels=labels),
    }


def cluster_service_version() -> Manifest:
    """The manifest."""
    csv: Manifest = _load(HERE / "base.yaml")
    [placeholder] = _load(CONFIG / "manager" / "kustomization.yaml")["images"]
    image = f"{placeholder['newName']}:{placeholder['newTag']}"
    version = _version()
    manager = yaml.safe_load(rbac.manager_role())["rules"]
    account = PREFIX + _load(CONFIG / "rbac" / "service_account.yaml")["metadata"]["name"]
    deployment = _deployment(image, account)
    csv["metadata"] |= {"name": f"{PACKAGE}.v{version}", "namespace": "placeholder"}
    csv["metadata"]["annotations"] |= {
        "alm-examples": json.dumps(samples.examples(), indent=2),
        "containerImage": image,
    }
    csv["spec"] |= {
        "version": version,
        "customresourcedefinitions": {"owned": [_owned(source) for source in sources.all_of_them()]},
        # OLM makes ClusterRoles of `permissions` where the operator watches all namespaces, and Roles elsewhere.
        "install": {
            "strategy": "deployment",
            "spec": {
                "permissions": [{"serviceAccountName": account, "rules": manager + _rules("leader_election_role")}],
                "clusterPermissions": [
                    {"serviceAccountName": account, "rules": _rules("cluster/storage_class_reader_role")}
                ],
                "deployments": [deployment],
            },
        },
        "relatedImages": [{"name": "manager", "image": image}, *_related_images(deployment)],
    }
    return csv


def _deployment(image: str, account: str) -> Manifest:
    source = yaml.safe_load(components.files()[components.MANAGER])
    spec = source["spec"]
    pod = spec["template"]["spec"]
    pod["serviceAccountName"] = account
    [container] = pod["containers"]
    container["image"] = image
    # OLM says here which namespaces its OperatorGroup means; empty for all.
    namespaces = {"fieldRef": {"fieldPath": "metadata.annotations['olm.targetNamespaces']"}}
    container["env"].append({"name": "WATCH_NAMESPACE", "valueFrom": namespaces})
    return {
        "name": PREFIX + source["metadata"]["name"],
        "label": {name: text for name, text in source["metadata"]["labels"].items() if "managed-by" not in name},
        "spec": spec,
    }


def _related_images(deployment: Manifest) -> list[dict[str, str]]:
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    start = "RELATED_IMAGE_"
    return [
        {"name": entry["name"].removeprefix(start), "image": entry["value"]}
        for entry in container["env"]
        if entry["name"].startswith(start)
    ]


def _rules(role: str) -> list[Manifest]:
    rules: list[Manifest] = _load(CONFIG / "rbac" / f"{role}.yaml")["rules"]
    return rules


def _owned(source: Source) -> Manifest:
    """What a console says of one of our kinds."""
    [entry] = [entry for entry in watches.entries() if entry["kind"] == source.kind]
    dependents = [Kind(each["apiVersion"], each["kind"]) for each in entry.get("dependents", {}).get("kinds", ())]
    return {
        "kind": source.kind,
        "name": f"{source.plural}.{source.group}",
        "version": source.version,
        "displayName": source.kind,
        "description": source.schema["description"],
        "resources": [{"kind": kind.kind, "version": kind.version, "name": ""} for kind in dependents],
        **source.resource.get("console", {}),
    }


def _version() -> str:
    text = (ROOT / "immich_operator" / "__init__.py").read_text(encoding="utf-8")
    return str(re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)[0])


def _load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))
