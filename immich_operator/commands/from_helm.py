# SPDX-License-Identifier: Apache-2.0
"""`immich-operator from-helm FILE`: the Immich that the values of a release of Immich's Helm chart stand for."""

from __future__ import annotations

import argparse
import sys
from io import TextIOWrapper
from typing import cast

import yaml

from immich_operator.commands.documents import UnreadableError, documents, tell, title
from immich_operator.commands.helm_values import convert
from immich_operator.yaml_text import ManifestDumper


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the subcommand."""
    parser.description = (
        "Print the Immich that the values of a release of Immich's Helm chart stand for. No cluster is contacted, and no "
        "data is moved. Values that have no place in an Immich are named on standard error, and so is what there is to do."
    )
    parser.add_argument(
        "file", metavar="FILE", help="file with values, as `helm get values` prints it, - for standard input"
    )
    parser.add_argument("--release", default="immich", help="name of the release (default: immich)")
    parser.add_argument("--name", default="photos", help="name of the Immich (default: photos)")


def run(args: argparse.Namespace) -> int:
    """Print the Immich; 1 if a value has no place in it, 2 if the file can't be read."""
    cast(TextIOWrapper, sys.stdout).reconfigure(encoding="utf-8")  # whatever the locale is
    try:
        found = [document for _unused, document in documents(args.file)]
    except UnreadableError as error:
        tell(f"immich-operator from-helm: {error}")
        return 2
    if len(found) != 1 or not isinstance(found[0], dict):
        tell(f"immich-operator from-helm: {title(args.file)}: one mapping with values is needed")
        return 2
    made = convert(found[0], args.release)
    for path in made.left:
        tell(f"{title(args.file)}: {path} has no place in an Immich")
    for remark in made.remarks:
        tell(f"{title(args.file)}: {remark}")
    resource = {
        "apiVersion": "media.rm3l.org/v1alpha1",
        "kind": "Immich",
        "metadata": {"name": args.name},
        "spec": made.spec,
    }
    yaml.dump(resource, sys.stdout, Dumper=ManifestDumper, sort_keys=False, allow_unicode=True, width=120)
    return 1 if made.left else 0
