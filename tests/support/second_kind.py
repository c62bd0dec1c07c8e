# SPDX-License-Identifier: Apache-2.0
"""A copy of this tree with a second custom resource, Toy: its source, its role and its entry in watches.yaml."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "site")

SOURCE = """\
---
resource:
  group: media.rm3l.org
  version: v1alpha1
  kind: Toy
  plural: toys
  sample:
    comment: A toy of the usual colour.
schema:
  type: object
  description: One toy.
  properties:
    apiVersion: {type: string}
    kind: {type: string}
    metadata: {type: object}
    spec:
      type: object
      description: What the toy should be.
      properties:
        colour: {type: string, enum: [red, green], default: red, description: Its colour.}
        key: {use: secretKey, description: What winds it up.}
    status:
      type: object
      description: What the toy is.
      properties:
        colour: {type: string, description: Its colour.}
        isWound: {type: boolean, description: Whether its key is there.}
"""

ROLE = """\
---
- name: Read what there is of the toy
  media.immich.observe:
    cr: "{{ _media_rm3l_org_toy }}"
  register: toy_seen
  no_log: true # Secrets are among the objects

- name: Make its box
  media.immich.apply:
    steps:
      - verb: apply
        object:
          apiVersion: v1
          kind: ConfigMap
          metadata:
            name: "{{ ansible_operator_meta.name }}-box"
            namespace: "{{ ansible_operator_meta.namespace }}"
            labels:
              app.kubernetes.io/managed-by: immich-operator
              app.kubernetes.io/instance: "{{ ansible_operator_meta.name }}"
            ownerReferences:
              - apiVersion: "{{ _media_rm3l_org_toy.apiVersion }}"
                kind: "{{ _media_rm3l_org_toy.kind }}"
                name: "{{ ansible_operator_meta.name }}"
                uid: "{{ _media_rm3l_org_toy.metadata.uid }}"
                controller: true
          data:
            colour: "{{ (toy_seen.json | from_json).cr.spec.colour }}"

- name: Report
  media.immich.k8s_status:
    api_version: "{{ _media_rm3l_org_toy.apiVersion }}"
    kind: "{{ _media_rm3l_org_toy.kind }}"
    name: "{{ ansible_operator_meta.name }}"
    namespace: "{{ ansible_operator_meta.namespace }}"
    status:
      colour: "{{ (toy_seen.json | from_json).cr.spec.colour }}"
      isWound: "{{ (toy_seen.json | from_json).references | selectattr('object') | length > 0 }}"
"""

WATCH = """\
- group: media.rm3l.org
  version: v1alpha1
  kind: Toy
  role: media.immich.toy
  manageStatus: false
  watchDependentResources: false
  identityOnly: true
  dependents:
    selector: app.kubernetes.io/managed-by=immich-operator
    kinds: # all of plugin_utils/kube/kinds.py
  references:
    - apiVersion: v1
      kind: Secret
      paths: []
"""


class Tree(NamedTuple):
    """A copy of this tree, as the collection media.immich."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which a program finds the copy, and not the tree that it is a copy of."""
        collections = self.folder.parents[2]
        return {"ANSIBLE_COLLECTIONS_PATH": str(collections), "PYTHONPATH": f"{self.folder}:{collections}"}

    def python(self, *arguments: str) -> str:
        """What a program of the copy prints; AssertionError with its complaints when it fails."""
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env={**os.environ, **self.environment},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr or done.stdout
        return done.stdout

    def text(self, path: str) -> str:
        """The content of a file."""
        return (self.folder / path).read_text(encoding="utf-8")


def copied(folder: Path) -> Tree:
    """A copy of this tree below `folder`."""
    tree = Tree(folder / "ansible_collections" / "media" / "immich")
    shutil.copytree(ROOT, tree.folder, ignore=LEFT_OUT)
    return tree


def tree_with_a_toy(folder: Path) -> Tree:
    """The copy below `folder`, with all that is generated."""
    tree = copied(folder)
    (tree.folder / "hack" / "crd" / "toy.yaml").write_text(SOURCE, encoding="utf-8")
    tasks = tree.folder / "roles" / "toy" / "tasks"
    tasks.mkdir(parents=True)
    (tasks / "main.yml").write_text(ROLE, encoding="utf-8")
    watches = tree.text("watches.yaml") + WATCH
    (tree.folder / "watches.yaml").write_text(watches, encoding="utf-8")
    tree.python("-m", "hack.generate")
    return tree
