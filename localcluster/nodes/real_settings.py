# SPDX-License-Identifier: Apache-2.0
"""The settings of a real node's programs, and the objects that its name server needs: pure functions."""

import json
from typing import Any

import yaml

from localcluster.credentials import write_private
from localcluster.images import PAUSE
from localcluster.nodes.sandbox import NODE_ADDRESS, POD_NETWORK
from localcluster.state import Folder

__all__ = ["DNS_SERVICE", "HEALTH_PORTS", "NAME", "SOCKET", "dns_objects", "write"]

NAME = "real-0"
DNS_SERVICE = "10.96.0.10"
SOCKET = "/run/containerd/containerd.sock"
# The node has its own network, so the usual ports are free.
HEALTH_PORTS = {"kubelet": 10248, "kube-proxy": 10256, "coredns": 8080}


def write(folder: Folder, plugins: str, control_group: str) -> None:
    """Write all files; `plugins` is the folder of the CNI plugins, `control_group` the group of all pods."""
    (folder.root / "cni").mkdir()
    for name, text in (
        ("containerd.toml", containerd(folder, plugins)),
        ("kubelet.yaml", yaml.safe_dump(kubelet(folder, control_group))),
        ("kube-proxy.yaml", yaml.safe_dump(kube_proxy(folder))),
        ("Corefile", coredns(folder)),
        ("cni/10-bridge.conflist", json.dumps(network())),
    ):
        write_private(folder.root / name, text.encode())


def containerd(folder: Folder, plugins: str) -> str:
    # restrict_oom_score_adj: runc cannot lower the value without CAP_SYS_RESOURCE, which containers often lack.
    return f"""\
version = 2
root = "{folder.root / "containerd"}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
address = "{SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{folder.root / "cni"}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def kubelet(folder: Folder, control_group: str) -> dict[str, Any]:
    credentials = folder.credentials
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(credentials / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(credentials / "kubelet-serving.crt"),
        "tlsPrivateKeyFile": str(credentials / "kubelet-serving.key"),
        "address": NODE_ADDRESS,
        "healthzBindAddress": NODE_ADDRESS,
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "podLogsDir": str(folder.logs / "pods"),
        "volumePluginDir": str(folder.root / "kubelet" / "volume-plugins"),
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        # Pods use only the cluster's name server.
        "resolvConf": "",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{control_group}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "enforceNodeAllocatable": [],
        # The disk belongs to somebody else and may well be full; images come from archives and can't be pulled again.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageMaximumGCAge": "0s",
        # Instead of five minutes: a pod that waits for another one starts soon after it.
        "crashLoopBackOff": {"maxContainerRestartPeriod": "10s"},
    }


def kube_proxy(folder: Folder) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(folder.credentials / "kube-proxy.kubeconfig")},
        "mode": "iptables",
        "clusterCIDR": POD_NETWORK,
        "hostnameOverride": NAME,
        "oomScoreAdj": 0,
        "healthzBindAddress": f"{NODE_ADDRESS}:{HEALTH_PORTS['kube-proxy']}",
        # These settings belong to the whole machine; a network namespace may not write them.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def coredns(folder: Folder) -> str:
    return f"""\
.:53 {{
    bind {NODE_ADDRESS}
    errors
    health {NODE_ADDRESS}:{HEALTH_PORTS["coredns"]}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {folder.credentials / "coredns.kubeconfig"}
        pods insecure
        ttl 1
    }}
}}
"""


def network() -> dict[str, Any]:
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": POD_NETWORK}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, portmap]}


def dns_objects() -> list[dict[str, Any]]:
    """What routes pods to CoreDNS, which is not a pod, and lets it read what it serves."""
    metadata = {"name": "kube-dns", "namespace": "kube-system"}
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    rbac = "rbac.authorization.k8s.io"
    readable = [("", ["endpoints", "namespaces", "pods", "services"]), ("discovery.k8s.io", ["endpointslices"])]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"clusterIP": DNS_SERVICE, "ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata | {"labels": {"kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [NODE_ADDRESS], "conditions": {"ready": True}}],
            "ports": ports,
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": [
                {"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]}
                for group, resources in readable
            ],
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "system:coredns"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": "system:coredns"}],
        },
    ]
