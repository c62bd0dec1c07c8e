# SPDX-License-Identifier: Apache-2.0
"""What large uploads and WebSockets need of an Ingress, by the controller of its class. Sources: the controllers' manuals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..kube.api_error import ObjectRef
from ..kube.kinds import named
from ..kube.values import Manifest, dig
from ..spec import names
from ..spec.names import Component
from .instance import Cluster, Instance, Part
from .reasons import Reason

KIND = "IngressClass"
PATH = "spec.server.ingress"
SECONDS = "600"
"""How long nothing may be sent or received: a phone in a dead spot goes on with the upload after some minutes."""


class Preset(NamedTuple):
    annotations: Callable[[str, str], Mapping[str, str]]
    """Of the name of the Service and the first path that leads to it."""
    lacks: str = ""
    """What no Ingress can say, and where it is set instead."""


def _nginx(_service: str, _path: str) -> dict[str, str]:
    keys = ("proxy-body-size", "proxy-read-timeout", "proxy-send-timeout", "proxy-request-buffering")
    return dict(
        zip((f"nginx.ingress.kubernetes.io/{key}" for key in keys), ("0", SECONDS, SECONDS, "off"), strict=True)
    )


PRESETS: Mapping[str, Preset] = {
    "k8s.io/ingress-nginx": Preset(_nginx),
    "nginx.org/ingress-controller": Preset(
        lambda service, _path: {
            "nginx.org/client-max-body-size": "0",
            "nginx.org/proxy-read-timeout": f"{SECONDS}s",
            "nginx.org/proxy-send-timeout": f"{SECONDS}s",
            "nginx.org/proxy-buffering": "False",
            "nginx.org/websocket-services": service,
        }
    ),
    "traefik.io/ingress-controller": Preset(
        lambda _service, _path: {},
        "Traefik ends an upload after 60 seconds, which only its own settings change: start it with "
        "--entryPoints.websecure.transport.respondingTimeouts.readTimeout=0",
    ),
    "haproxy.org/ingress-controller": Preset(lambda _service, _path: {"haproxy.org/timeout-server": f"{SECONDS}s"}),
    "haproxy-ingress.github.io/controller": Preset(
        lambda _service, _path: {
            "haproxy-ingress.github.io/timeout-server": f"{SECONDS}s",
            "haproxy-ingress.github.io/proxy-body-size": "unlimited",
        }
    ),
    "projectcontour.io/ingress-controller": Preset(
        lambda _service, path: {
            "projectcontour.io/response-timeout": "infinity",
            "projectcontour.io/websocket-routes": path,
        }
    ),
    "cilium.io/ingress-controller": Preset(lambda _service, _path: {"ingress.cilium.io/request-timeout": "0s"}),
    "ingress.k8s.aws/alb": Preset(
        lambda _service, _path: {
            "alb.ingress.kubernetes.io/load-balancer-attributes": f"idle_timeout.timeout_seconds={SECONDS}",
            "alb.ingress.kubernetes.io/target-type": "ip",
            "alb.ingress.kubernetes.io/healthcheck-path": "/api/server/ping",
        }
    ),
    "openshift.io/ingress-to-route": Preset(
        lambda _service, _path: {
            "haproxy.router.openshift.io/timeout": f"{SECONDS}s",
            "haproxy.router.openshift.io/timeout-tunnel": "1h",
        }
    ),
}
"""By the controller that the IngressClass names, or its beginning: two controllers share the class name `nginx`."""


def is_asked_for(instance: Instance) -> bool:
    server = instance.spec.server
    return server.enabled and server.ingress.enabled and server.ingress.preset == "Auto"


def class_of(instance: Instance, live: Manifest | None) -> ObjectRef | None:
    """The class to look up: the one that is named, else the default one that the API server has put into the Ingress."""
    name = instance.spec.server.ingress.ingress_class_name or dig(live, "spec", "ingressClassName")
    return ObjectRef(named(KIND).api_version, KIND, name) if is_asked_for(instance) and name else None


def annotations_for(part: Part, instance: Instance, cluster: Cluster) -> dict[str, str]:
    """What the Ingress gets besides the user's annotations; says what is missing and why."""
    name = names.workload_name(instance.name, Component.SERVER)
    wanted = class_of(instance, cluster.live("Ingress", name))
    answer = cluster.looked_up(KIND, wanted.name) if wanted else None
    if wanted is None or answer is None:  # not known yet, or there is no cluster to ask
        return {}
    class_ = f"{KIND} {wanted.name}"
    if answer.get("forbidden"):
        _tell(
            part,
            f"the operator may not read {class_}; allow it to get {named(KIND).plural}, or write the annotations yourself",
        )
        return {}
    if not answer.get("object"):
        _tell(part, f"{class_} does not exist; kubectl get ingressclass shows those that do")
        return {}
    controller = str(dig(answer, "object", "spec", "controller", default=""))
    preset = next((found for key, found in PRESETS.items() if f"{controller}/".startswith(f"{key}/")), None)
    if preset is None:
        known = f"the annotations that the controller {controller} of {class_} needs are not known"
        _tell(part, f"{known}; write them into {PATH}.annotations and set {PATH}.preset to None")
        return {}
    if preset.lacks:
        _tell(part, f"{preset.lacks}. Then set {PATH}.preset to None, which ends this warning")
    paths = [path.path for host in instance.spec.server.ingress.hosts for path in host.paths]
    return dict(preset.annotations(name, next(iter(paths), "/")))


def _tell(part: Part, what: str) -> None:
    part.warns(Reason.PRESET_INCOMPLETE, f"{PATH}.preset is Auto, but {what}")
