# SPDX-License-Identifier: Apache-2.0
"""Where the API server is, and how the play is told the same."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kubernetes.client.configuration import Configuration
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config

from immich_operator.errors import ConnectionConfigError

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Connection:
    """A client configuration; `kubeconfig` is the file (or list of files) it came from, None inside a cluster."""

    configuration: Configuration
    kubeconfig: str | None


def connect(kubeconfig: str, context: str, environ: Mapping[str, str]) -> Connection:
    """Configuration from a kubeconfig, else from the pod's service account, else from ~/.kube/config.

    Args:
        kubeconfig: path, or several separated like PATH; "" to look around.
        context: context of the kubeconfig; "" for its current one.

    Raises:
        ConnectionConfigError: nothing usable was found.
    """
    configuration = Configuration()
    in_cluster = not kubeconfig and bool(environ.get("KUBERNETES_SERVICE_HOST"))
    source = "" if in_cluster else kubeconfig or str(Path("~/.kube/config").expanduser())
    try:
        if in_cluster:
            load_incluster_config(client_configuration=configuration)
        else:
            load_kube_config(
                config_file=source, context=context or None, client_configuration=configuration, persist_config=False
            )
    except (ConfigException, OSError, KeyError, ValueError) as exc:
        where = "the pod's service account" if in_cluster else f"kubeconfig {source}"
        raise ConnectionConfigError(
            f"cannot connect by {where}: {exc}. Set KUBECONFIG or --kubeconfig, or run inside a cluster."
        ) from exc
    return Connection(configuration, source or None)


def play_environment(connection: Connection, folder: Path) -> dict[str, str]:
    """Variables by which Kubernetes tools in a play find the same API server.

    Inside a cluster a kubeconfig is written to `folder` that points at the service account's files: tools that only
    know KUBECONFIG work, and the token stays where the kubelet renews it.
    """
    path = connection.kubeconfig
    if path is None:
        path = str(folder / "kubeconfig")
        _write_private(Path(path), json.dumps(_service_account_kubeconfig(str(connection.configuration.host))))
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
