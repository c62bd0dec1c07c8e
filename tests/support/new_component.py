# SPDX-License-Identifier: Apache-2.0
"""A copy of this tree with a component more, `tunnel`, in the four places that CONTRIBUTING names."""

from __future__ import annotations

from pathlib import Path

from support.second_kind import Tree, copied

FIELDS = """\
        tunnel:
          use: component
          description: What makes the instance reachable from afar.
          properties:
            enabled: {type: boolean, default: false, description: Run the tunnel.}
            image: {type: string, description: "Image of the tunnel. Default: the operator's RELATED_IMAGE_tunnel."}
"""
FLAG = """\
        tunnelReady: {type: boolean, description: Whether the tunnel is ready.}
"""
IMAGE = """\
            tunnel: {type: string, description: Image of the tunnel.}
"""

CLASS = """\
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Tunnel(Workload):
    enabled: bool = False


"""

MODULE = '''\
"""The tunnel: a Deployment."""

from __future__ import annotations

from ..spec.names import Component
from . import pods
from .description import Description, Image, Workload, named_after, switched_off
from .instance import Cluster, Draft, Instance, Part
from .rollout import apply_deployment

COMPONENT = Component("tunnel")


def plan(instance: Instance, cluster: Cluster, draft: Draft) -> list[Part]:
    part, settings = Part(COMPONENT), instance.spec.tunnel
    image = draft.image(instance, COMPONENT)
    if settings.enabled and image:
        template = pods.pod_template(instance, COMPONENT, part, pod={"containers": [pods.container("tunnel", image, settings)]})
        apply_deployment(part, cluster, pods.deployment(instance, COMPONENT, template, replicas=1, recreate=True))
    return [part]


DESCRIPTION = Description(
    component=COMPONENT,
    title="Tunnel",
    plan=plan,
    workload=Workload(kind="Deployment", condition="TunnelReady", flag="tunnelReady", absence=switched_off(COMPONENT)),
    image=Image(variable="RELATED_IMAGE_tunnel", default="registry.example.com/tunnel:1", what="The tunnel"),
    removable=named_after(COMPONENT, "Deployment"),
)
'''

EDITS = {
    "hack/crd/immich.yaml": [
        ("        valkey:\n          use: component\n", FIELDS),
        ("        postgresReady:", FLAG),
        ("            postgres: {type: string, description: Image of PostgreSQL.}", IMAGE),
    ],
    "plugins/plugin_utils/spec/fields.py": [
        ("@dataclass(frozen=True, slots=True, kw_only=True, repr=False)\nclass Metrics:", CLASS),
        ("    valkey: Valkey = ", "    tunnel: Tunnel = field(default_factory=Tunnel)\n"),
    ],
    "plugins/plugin_utils/components/registry.py": [
        ("server, valkey\n", "tunnel, "),
        ("    server.DESCRIPTION,\n", "    tunnel.DESCRIPTION,\n"),
    ],
}
"""{file: [(before this, what is inserted)]}"""
NEW = {"plugins/plugin_utils/components/tunnel.py": MODULE}

PLACES = {*EDITS, *NEW}


def tree_with_a_tunnel(folder: Path) -> Tree:
    """The copy below `folder`, with all that is generated."""
    tree = copied(folder)
    for path, edits in EDITS.items():
        text = tree.text(path)
        for before, inserted in edits:
            assert text.count(before) == 1, f"{path}: {before!r}"
            text = text.replace(before, inserted + before)
        (tree.folder / path).write_text(text, encoding="utf-8")
    for path, text in NEW.items():
        (tree.folder / path).write_text(text, encoding="utf-8")
    # What is shipped has its bound. That the copy, with all fields of pods once more, is larger, tells nothing about places.
    bound, larger = "MAX_COMPACT_BYTES = 200_000", "MAX_COMPACT_BYTES = 250_000"
    generator = tree.text("hack/crd/generate.py")
    assert generator.count(bound) == 1
    (tree.folder / "hack/crd/generate.py").write_text(generator.replace(bound, larger), encoding="utf-8")
    tree.python("-m", "hack.generate")
    return tree
