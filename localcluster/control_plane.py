# SPDX-License-Identifier: Apache-2.0
"""The command lines of the control plane: pure functions of folder and ports."""

from collections.abc import Mapping

from localcluster.launch import Order
from localcluster.state import Folder

__all__ = ["PORTS", "api_server", "controller_manager", "etcd", "scheduler"]

PORTS = ("etcd", "etcd-peer", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
SERVICE_RANGE = "10.96.0.0/16"

# The defaults of 20 to 50 requests per second protect shared clusters. Here they would only slow tests down.
_CLIENT_RATE = ("--kube-api-qps=500", "--kube-api-burst=1000")


def etcd(folder: Folder, ports: Mapping[str, int]) -> Order:
    """Without fsync: the data does not outlive the machine, and a test disk can be slow."""
    client = f"http://127.0.0.1:{ports['etcd']}"
    peer = f"http://127.0.0.1:{ports['etcd-peer']}"
    return Order(
        name="etcd",
        program="etcd",
        port=ports["etcd"],
        health="/readyz",
        tls=False,
        arguments=(
            "--name=localcluster",
            f"--data-dir={folder.root / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=localcluster={peer}",
            "--unsafe-no-fsync",
        ),
    )


def _serving(folder: Folder) -> tuple[str, ...]:
    return (
        f"--tls-cert-file={folder.credentials / 'server.crt'}",
        f"--tls-private-key-file={folder.credentials / 'server.key'}",
    )


def api_server(
    folder: Folder, ports: Mapping[str, int], extra: tuple[str, ...] = (), address: str = "127.0.0.1"
) -> Order:
    """`extra` flags and `address` come from the kind of nodes; a later flag overrides an earlier one."""
    credentials = folder.credentials
    return Order(
        name="kube-apiserver",
        program="kube-apiserver",
        host=address,
        port=ports["kube-apiserver"],
        health="/readyz",
        arguments=(
            f"--etcd-servers=http://127.0.0.1:{ports['etcd']}",
            f"--bind-address={address}",
            f"--secure-port={ports['kube-apiserver']}",
            *_serving(folder),
            f"--client-ca-file={credentials / 'ca.crt'}",
            "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={credentials / 'service-accounts.key'}",
            f"--service-account-signing-key-file={credentials / 'service-accounts.key'}",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            # A loopback address is not allowed as an endpoint of the Service `kubernetes`.
            "--endpoint-reconciler-type=none",
            "--allow-privileged=true",
            "--profiling=false",
            f"--audit-policy-file={folder.root / 'audit-policy.yaml'}",
            f"--audit-log-path={folder.audit_log}",
            # Blocking: an entry is in the file before the answer is sent, which is what makes counting exact.
            "--audit-log-mode=blocking",
            # In MB. Rotation would move entries away from readers that keep an offset.
            "--audit-log-maxsize=4096",
            *extra,
        ),
    )


def controller_manager(folder: Folder, ports: Mapping[str, int]) -> Order:
    """All controllers except the one that would give pod networks to nodes."""
    credentials = folder.credentials
    return Order(
        name="kube-controller-manager",
        program="kube-controller-manager",
        port=ports["kube-controller-manager"],
        health="/healthz",
        arguments=(
            f"--kubeconfig={credentials / 'controller-manager.kubeconfig'}",
            "--bind-address=127.0.0.1",
            f"--secure-port={ports['kube-controller-manager']}",
            *_serving(folder),
            "--controllers=*,-nodeipam",
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={credentials / 'service-accounts.key'}",
            f"--root-ca-file={credentials / 'ca.crt'}",
            f"--cluster-signing-cert-file={credentials / 'ca.crt'}",
            f"--cluster-signing-key-file={credentials / 'ca.key'}",
            "--enable-hostpath-provisioner=true",
            "--profiling=false",
            *_CLIENT_RATE,
        ),
    )


def scheduler(folder: Folder, ports: Mapping[str, int]) -> Order:
    """The scheduler with its default profile."""
    return Order(
        name="kube-scheduler",
        program="kube-scheduler",
        port=ports["kube-scheduler"],
        health="/healthz",
        arguments=(
            f"--kubeconfig={folder.credentials / 'scheduler.kubeconfig'}",
            "--bind-address=127.0.0.1",
            f"--secure-port={ports['kube-scheduler']}",
            *_serving(folder),
            "--leader-elect=false",
            "--profiling=false",
            *_CLIENT_RATE,
        ),
    )
