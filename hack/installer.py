#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Print all manifests of an installation, for the given image, namespace and extras; the work tree stays clean.

    python hack/installer.py --image registry.example.com/immich-operator:0.1.0 | kubectl apply --server-side -f -

kustomize comes from kubectl: the one in KUBECTL, on PATH, or the one that localcluster has built.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
OVERLAYS = ("default", "namespaced")
COMPONENTS = ("network-policy", "prometheus")
IMAGE_NAME = "immich-operator"
"""What config/manager calls the image."""


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        manifests = build(
            args.overlay,
            image=args.image,
            namespace=args.namespace,
            components=args.components,
            crds=not args.without_crds,
        )
    except InstallerError as exc:
        print(f"installer: {exc}", file=sys.stderr)
        return 1
    if args.output == "-":
        sys.stdout.write(manifests)
    else:
        target = Path(args.output)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(manifests, encoding="utf-8")
        print(f"{target}: {manifests.count(chr(10) + 'kind: ')} objects")
    return 0


class InstallerError(Exception):
    """Says what is missing or wrong, and what to do."""


def build(
    overlay: str = "default",
    *,
    image: str = "",
    namespace: str = "",
    components: Sequence[str] = (),
    crds: bool = True,
) -> str:
    """The manifests as YAML documents; empty `image` and `namespace` leave those of the overlay.

    Raises: InstallerError.
    """
    with tempfile.TemporaryDirectory(prefix="immich-operator-") as scratch:
        folder = Path(scratch).resolve()
        content = kustomization(folder, overlay, image=image, namespace=namespace, components=components)
        # As JSON, which is YAML with every string in quotes: kustomize would read a tag like 1e3 or 0x10 as a number.
        (folder / "kustomization.yaml").write_text(json.dumps(content), encoding="utf-8")
        done = subprocess.run(
            [kubectl(), "kustomize", str(folder)], capture_output=True, text=True, check=False, encoding="utf-8"
        )
    if done.returncode != 0:
        raise InstallerError(f"kustomize failed for config/{overlay}: {done.stderr.strip()}")
    # kustomize writes the namespace of a binding's subjects unquoted, whatever it reads as.
    written = done.stdout
    if namespace:
        bare = re.compile(r'^( +namespace:) [^"\s]+$', re.MULTILINE)
        written = bare.sub(lambda match: f"{match[1]} {json.dumps(namespace)}", written)
    if crds:
        return "---\n" + written
    kept = [text for text in written.split("\n---\n") if "\nkind: CustomResourceDefinition\n" not in f"\n{text}"]
    return "---\n" + "\n---\n".join(kept)


def kustomization(
    folder: Path, overlay: str, *, image: str, namespace: str, components: Sequence[str]
) -> dict[str, Any]:
    """An overlay in `folder`; kustomize only accepts relative paths."""

    def relative(name: str) -> str:
        return os.path.relpath(ROOT / "config" / name, folder)

    content: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [relative(overlay)],
    }
    if namespace := namespace or _namespace_of(overlay):
        content["namespace"] = namespace
    if components:
        content["components"] = [relative(component) for component in components]
    if image:
        content["images"] = [{"name": IMAGE_NAME, **split_image(image)}]
    return content


def split_image(image: str) -> dict[str, str]:
    """{"newName", "newTag" or "digest"}. A colon before the last slash belongs to the registry's port.

    Raises: InstallerError.
    """
    match = re.fullmatch(r"(?P<name>(?:[^/@\s]+/)*[^/:@\s]+)(?::(?P<tag>[\w][\w.-]*))?(?:@(?P<digest>\w+:\w+))?", image)
    if match is None:
        raise InstallerError(f"{image!r} is no image; write it like registry.example.com/immich-operator:0.1.0")
    if match["digest"]:
        return {"newName": match["name"], "digest": match["digest"]}
    return {"newName": match["name"], "newTag": match["tag"] or "latest"}


def kubectl() -> str:
    """Raises: InstallerError."""
    if found := os.environ.get("KUBECTL") or shutil.which("kubectl"):
        return found
    sys.path.insert(0, str(ROOT))
    from localcluster import build as programs  # noqa: PLC0415 - only where no kubectl is installed

    if built := programs.locate("kubectl"):
        return str(built)
    raise InstallerError("kubectl is needed. Install it, set KUBECTL, or run `python -m localcluster up` once")


def _namespace_of(overlay: str) -> str:
    content = yaml.safe_load((ROOT / "config" / overlay / "kustomization.yaml").read_text(encoding="utf-8"))
    return str(content.get("namespace") or "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="installer", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--overlay", choices=OVERLAYS, default="default", help="for the whole cluster, or one namespace"
    )
    parser.add_argument("--image", default="", help="the operator's image")
    parser.add_argument("--namespace", default="", help="where the operator runs")
    parser.add_argument("--with", dest="components", action="append", choices=COMPONENTS, default=[], help="an extra")
    parser.add_argument(
        "--without-crds",
        action="store_true",
        help="leave out the API: removing it would delete all instances",
    )
    parser.add_argument("--output", default="-", metavar="FILE", help="write to this file instead of standard output")
    return parser


if __name__ == "__main__":
    sys.exit(main())
