# SPDX-License-Identifier: Apache-2.0
"""`immich-operator render FILE...`: the manifests that custom resources become, without a cluster."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from io import TextIOWrapper
from typing import Any, TextIO, cast

import yaml

from immich_operator import collection
from immich_operator.commands.documents import UnreadableError, documents, tell, title
from immich_operator.kube.texts import visible
from immich_operator.yaml_text import ManifestDumper

GROUP, KIND = "media.rm3l.org", "Immich"

LEFT_OUT = """\
# Secret {name}
#   is left out: the operator creates it once, with random content, and never again. --with-credentials writes one.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand."""
    parser.description = (
        "Print the manifests that Immich custom resources become, with the defaults and the validation of the CRD. "
        "No cluster is contacted. Images come from the custom resource, otherwise from RELATED_IMAGE_* variables, "
        "otherwise "
        "they are the defaults of a deployed operator. A value that only a Secret knows is shown as <key K of Secret "
        "S>."
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="file with custom resources in YAML, - for standard input"
    )
    parser.add_argument("--route", action="store_true", help="render for a cluster with OpenShift's Route API")
    parser.add_argument(
        "--with-credentials",
        action="store_true",
        help="include what the operator creates at random: credentials and keys",
    )


def run(args: argparse.Namespace) -> int:
    """Print the manifests; 1 if a custom resource is invalid or a component is held back, 2 if a file can't be read."""
    cast(TextIOWrapper, sys.stdout).reconfigure(encoding="utf-8")  # whatever the locale is
    try:
        found = [document for file in args.files for document in documents(file)]
    except UnreadableError as error:
        tell(f"immich-operator render: {error}")
        return 2
    mine = [(file, document) for file, document in found if _is_for_us(document)]
    for file, document in found:
        if not _is_for_us(document):
            name = f"{document['kind']} {document['metadata'].get('name')}"
            tell(f"{file}: {name} is passed over: manifests are made of kind Immich only")
    if not mine:
        tell(f"immich-operator render: no custom resource in {', '.join(map(title, args.files))}")
        return 1
    results = [_render(file, document, args, sys.stdout) for file, document in mine]
    return 0 if all(results) else 1


def _is_for_us(document: Any) -> bool:
    """False for an object of another kind, which files for `kubectl apply` often contain besides an Immich."""
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict) or not document.get("kind"):
        return True  # then the problem is reported
    group = str(document.get("apiVersion", "")).partition("/")[0]
    return group == GROUP or document["kind"] == KIND


def _render(file: str, document: Any, args: argparse.Namespace, out: TextIO) -> bool:
    """Print one custom resource's manifests, or what is wrong with it to standard error."""
    rendering = collection.rendering()
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
        tell(f"{file}: this is not a Kubernetes object: apiVersion, kind and metadata are needed")
        return False
    name = document["metadata"].get("name")
    cr, problems = rendering.complete(document)
    for problem in problems:
        tell(f"{file}: {document.get('kind')} {name}: {problem}")
    if problems:
        return False
    if cr["kind"] != rendering.planned_kind:
        tell(f"{file}: {cr['kind']} {name}: nothing is wrong with it, but only its role knows what it becomes")
        return False
    plan = rendering.offline_plan(
        cr,
        images=rendering.images_from_environment(os.environ, fall_back=True),
        password=secrets.token_hex(16) if args.with_credentials else "",
        route=args.route,
    )
    for notice in plan.notices:
        tell(f"{file}: {cr['kind']} {name}: {notice.effect} {notice.component}: {notice.message}")
    if any(notice.effect == "blocks" for notice in plan.notices):
        return False  # half an instance is worse than none: GitOps tools would prune what is missing
    made = {step["object"]["metadata"]["name"] for step in plan.steps if step["verb"] == "create"}
    for manifest in plan.as_dict()["steps"]:
        content = manifest["object"]
        if content["metadata"]["name"] in made and not args.with_credentials:
            out.write(LEFT_OUT.format(name=visible(content["metadata"]["name"])))
            continue
        out.write("---\n")
        yaml.dump(content, out, Dumper=ManifestDumper, sort_keys=False, allow_unicode=True, width=120)
    return True
