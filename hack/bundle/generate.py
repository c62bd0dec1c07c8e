# SPDX-License-Identifier: Apache-2.0
"""Write the OLM bundle in bundle/ from base.yaml, config/ and crds/.

python hack/bundle/generate.py [--image IMAGE]    write the files
python hack/bundle/generate.py --check            fail if the files are not what would be written
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from hack.writing import written_or_checked
from immich_operator.yaml_text import ManifestDumper

Manifest = dict[str, Any]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CONFIG = ROOT / "config"
CRD = ROOT / "crds" / "media.rm3l.org_immiches.yaml"
BUNDLE = ROOT / "bundle"
PACKAGE = "immich-operator"
CHANNEL = "alpha"
PREFIX = "immich-operator-"
"""The name prefix of config/default."""
EXAMPLES = ("minimal", "full", "external_services", "high_availability", "openshift")
"""Samples that a console offers as a start, the simplest first."""
MADE_BY = "# Written by `python hack/bundle/generate.py`; edit hack/bundle/base.yaml, config/ or crds/ instead.\n"
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
# Written by `python hack/bundle/generate.py`. Build it in this folder.
FROM scratch
{labels}
COPY manifests /manifests/
COPY metadata /metadata/
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--image", default="", help="the operator's image; default is that of config/manager")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if something would change")
    args = parser.parse_args(argv)
    texts = {BUNDLE / name: text for name, text in files(args.image).items()}
    return written_or_checked(texts, "hack/bundle/generate.py", is_check=args.check)


def files(image: str = "") -> dict[str, str]:
    """{path below bundle/: text}"""
    labels = "\n".join(f'LABEL {name}="{value}"' for name, value in ANNOTATIONS.items())
    return {
        f"manifests/{PACKAGE}.clusterserviceversion.yaml": MADE_BY + _dump(cluster_service_version(image)),
        f"manifests/{CRD.name}": CRD.read_text(encoding="utf-8").replace("\n---\n", "\n", 1),
        "metadata/annotations.yaml": MADE_BY + _dump({"annotations": ANNOTATIONS}),
        "Dockerfile": DOCKERFILE.format(labels=labels),
    }


def cluster_service_version(image: str = "") -> Manifest:
    """The manifest; empty `image` means the one of config/manager."""
    csv: Manifest = _load(HERE / "base.yaml")
    [placeholder] = _load(CONFIG / "manager" / "kustomization.yaml")["images"]
    image = image or f"{placeholder['newName']}:{placeholder['newTag']}"
    version = _version()
    account = PREFIX + _load(CONFIG / "rbac" / "service_account.yaml")["metadata"]["name"]
    deployment = _deployment(image, account)
    csv["metadata"] |= {"name": f"{PACKAGE}.v{version}", "namespace": "placeholder"}
    csv["metadata"]["annotations"] |= {
        "alm-examples": json.dumps([_load(_sample(name)) for name in EXAMPLES], indent=2),
        "containerImage": image,
    }
    csv["spec"] |= {
        "version": version,
        # OLM makes ClusterRoles of `permissions` where the operator watches all namespaces, and Roles elsewhere.
        "install": {
            "strategy": "deployment",
            "spec": {
                "permissions": [
                    {"serviceAccountName": account, "rules": _rules("manager_role") + _rules("leader_election_role")}
                ],
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
    source = _load(CONFIG / "manager" / "manager.yaml")
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


def _sample(name: str) -> Path:
    return CONFIG / "samples" / f"media_v1alpha1_immich_{name}.yaml"


def _version() -> str:
    text = (ROOT / "immich_operator" / "__init__.py").read_text(encoding="utf-8")
    return str(re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)[0])


def _load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


class _Dumper(ManifestDumper):
    """Lists indented, too."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's signature
        super().increase_indent(flow, False)


def _dump(content: Any) -> str:
    return str(yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))


if __name__ == "__main__":
    sys.exit(main())
