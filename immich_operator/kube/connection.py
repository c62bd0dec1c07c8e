# SPDX-License-Identifier: Apache-2.0
"""Where the API server is, and how plays find the same one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from immich_operator.kube.client import ConnectionSettings

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
CONNECTIONS: Final = 64  # one per watch and worker without discarding any
REMEDY: Final = "Set KUBECONFIG or --kubeconfig, or run inside a cluster."


@dataclass(frozen=True, slots=True)
class Connection:
    """Configuration, pool and `renew` as `Transport` takes them; `kubeconfig` is the file (or list of files) that they came
    from, None inside a cluster."""

    configuration: Any
    pool: Any
    kubeconfig: str | None
    renew: Callable[[], bool] = bool


def connect(kubeconfig: str, context: str, environ: Mapping[str, str]) -> Connection:
    """Configuration from a kubeconfig, or the pod's service account, or ~/.kube/config; no request.

    Args:
        kubeconfig: path, or several separated like PATH; "" to search the usual places.
        context: context of the kubeconfig; "" for its current one.

    Raises:
        Misconfigured: nothing usable was found.
    """
    # Here, because it imports the `kubernetes` package.
    from ansible_collections.media.immich.plugins.plugin_utils.kube.client_pool import (  # noqa: PLC0415
        long_lived_pool,
    )

    in_cluster = not kubeconfig and bool(environ.get("KUBERNETES_SERVICE_HOST"))
    source = None if in_cluster else kubeconfig or str(Path("~/.kube/config").expanduser())
    settings = ConnectionSettings(kubeconfig=source, context=None if in_cluster else context or None)
    elsewhere = {name: value for name, value in environ.items() if name != "KUBECONFIG"}  # `kubeconfig` says it
    configuration, pool, renew = long_lived_pool(settings, elsewhere, connections=CONNECTIONS, remedy=REMEDY)
    return Connection(configuration, pool, source, renew)


def described(connection: Connection, context: str) -> dict[str, str]:
    """{"server", "context", "kubeconfig"}: which cluster that is, for people. `context` is the one that was chosen, if any."""
    if connection.kubeconfig is None:
        return {"server": str(connection.configuration.host), "kubeconfig": "service account of the pod"}
    if not context:
        from kubernetes.config import list_kube_config_contexts  # noqa: PLC0415 - as in `connect`

        context = list_kube_config_contexts(connection.kubeconfig)[1]["name"]
    return {"server": str(connection.configuration.host), "context": context, "kubeconfig": connection.kubeconfig}


def play_environment(connection: Connection, folder: Path, context: str = "") -> dict[str, str]:
    """Variables with which Kubernetes tools in a play find the same API server, through the same context.

    Inside a cluster a kubeconfig is written to `folder` that points at the service account's files: tools that only
    know KUBECONFIG work, and the token stays where the kubelet renews it.
    """
    path = connection.kubeconfig and os.pathsep.join(
        str(Path(part).expanduser().absolute()) for part in connection.kubeconfig.split(os.pathsep) if part
    )
    if path is None:
        path = str(folder / "kubeconfig")
        _write_private(Path(path), json.dumps(_service_account_kubeconfig(str(connection.configuration.host))))
    elif context:
        # kubectl and Go programs use the current context of the first file that has one
        first = folder / "context"
        _write_private(first, json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": context}))
        merged = f"{first}{os.pathsep}{path}"
        return {"K8S_AUTH_KUBECONFIG": path, "K8S_AUTH_CONTEXT": context, "KUBECONFIG": merged}
    return {"K8S_AUTH_KUBECONFIG": path, "KUBECONFIG": path}


def own_namespace(environ: Mapping[str, str]) -> str | None:
    """The namespace this process runs in, None outside a cluster."""
    if name := environ.get("POD_NAMESPACE"):
        return name
    try:
        return (SERVICE_ACCOUNT / "namespace").read_text().strip() or None
    except OSError:
        return None


def _service_account_kubeconfig(server: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "own", "cluster": {"server": server, "certificate-authority": str(SERVICE_ACCOUNT / "ca.crt")}}
        ],
        "users": [{"name": "own", "user": {"tokenFile": str(SERVICE_ACCOUNT / "token")}}],
        "contexts": [{"name": "own", "context": {"cluster": "own", "user": "own"}}],
        "current-context": "own",
    }


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
