# SPDX-License-Identifier: Apache-2.0
"""Strategic merge patches of a pod template: a table for our own merge and for that of a real API server."""

from __future__ import annotations

from typing import Any

ENV = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "photos"}, "annotations": {"a": "1", "b": "2"}},
    "spec": {
        "initContainers": [{"name": "look", "image": "l", "command": ["look"]}],
        "containers": [
            {
                "name": "main",
                "image": "m",
                "args": ["a", "b"],
                "env": ENV,
                "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "tmp", "mountPath": "/t"}],
                "resources": {"limits": {"memory": "1Gi"}},
                "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5},
                "securityContext": {"capabilities": {"drop": ["ALL"]}, "runAsUser": 1},
            },
            {"name": "side", "image": "s"},
        ],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "library"}},
            {"name": "tmp", "emptyDir": {}},
        ],
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["one"]}, {"ip": "10.0.0.2", "hostnames": ["two"]}],
        "imagePullSecrets": [{"name": "one"}],
        "securityContext": {"runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
        "dnsConfig": {"nameservers": ["10.0.0.3"], "options": [{"name": "ndots", "value": "1"}]},
        "topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}],
        "nodeSelector": {"disk": "large"},
    },
}


def _main(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "main", **fields}]}}


PATCHES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "labels": {"metadata": {"labels": {"more": "x"}, "annotations": {"a": None, "c": "3"}}},
    "scalar": {"spec": {"shareProcessNamespace": True, "terminationGracePeriodSeconds": 5}},
    "image": _main(image="other"),
    "arguments": _main(args=["x"]),
    "variables": _main(env=[{"name": "C", "value": "3"}, {"name": "A", "value": "9"}]),
    "variable-gone": _main(env=[{"name": "A", "$patch": "delete"}]),
    "variables-replaced": _main(env=[{"$patch": "replace"}, {"name": "C", "value": "3"}]),
    "variables-in-order": _main(
        **{"env": [{"name": "C", "value": "3"}], "$setElementOrder/env": [{"name": "B"}, {"name": "C"}, {"name": "A"}]}
    ),
    "order-alone": {"spec": {"$setElementOrder/containers": [{"name": "side"}, {"name": "main"}]}},
    "order-of-some": {"spec": {"$setElementOrder/containers": [{"name": "side"}]}},
    "port": _main(
        ports=[{"containerPort": 81, "name": "more"}, {"containerPort": 80, "name": "web"}], livenessProbe=None
    ),
    "mount": _main(volumeMounts=[{"mountPath": "/data", "name": "tmp"}, {"mountPath": "/new", "name": "data"}]),
    "mount-gone": _main(volumeMounts=[{"mountPath": "/t", "$patch": "delete"}]),
    "probe-gone": _main(livenessProbe=None),
    "probe-changed": _main(livenessProbe={"periodSeconds": 7}),
    "probe-of-another-kind": _main(livenessProbe={"httpGet": None, "exec": {"command": ["true"]}}),
    "probe-replaced": _main(livenessProbe={"$patch": "replace", "tcpSocket": {"port": 80}}),
    "security": _main(securityContext={"runAsUser": None, "capabilities": {"add": ["CHOWN"]}}),
    "new-container": {"spec": {"containers": [{"name": "new", "image": "n", "env": [{"name": "X", "value": None}]}]}},
    "new-container-that-deletes": {
        "spec": {"containers": [{"name": "new", "image": "n", "env": [{"name": "X", "$patch": "delete"}]}]}
    },
    "new-init-container": {"spec": {"initContainers": [{"name": "first", "image": "f"}]}},
    "two-new-and-one-old": {
        "spec": {
            "containers": [{"name": "x", "image": "x"}, {"name": "side", "image": "t"}, {"name": "y", "image": "y"}]
        }
    },
    "container-gone": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}},
    "init-containers-gone": {"spec": {"initContainers": None}},
    "volume-of-another-kind": {
        "spec": {"volumes": [{"name": "data", "$retainKeys": ["name", "emptyDir"], "emptyDir": {"medium": "Memory"}}]}
    },
    "new-volume": {"spec": {"volumes": [{"name": "p", "projected": {"sources": [{"secret": {"name": "s"}}]}}]}},
    "tolerations": {"spec": {"tolerations": [{"key": "b", "operator": "Exists"}]}},
    "host-aliases": {"spec": {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["x"]}, {"ip": "10.0.0.9"}]}},
    "pull-secrets": {"spec": {"imagePullSecrets": [{"name": "two"}]}},
    "spread": {"spec": {"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 2}]}},
    "spread-more": {
        "spec": {
            "topologySpreadConstraints": [{"topologyKey": "host", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"}]
        }
    },
    "node-selector": {"spec": {"nodeSelector": {"disk": None, "arch": "arm64"}}},
    "context-replaced": {"spec": {"securityContext": {"$patch": "replace", "fsGroup": 1}}},
    "context-deleted": {"spec": {"securityContext": {"$patch": "delete"}}},
    "dns": {"spec": {"dnsConfig": {"options": [{"name": "timeout", "value": "1"}], "searches": ["a"]}}},
    "new-with-directives": {
        "spec": {
            "affinity": {
                "nodeAffinity": {"$retainKeys": ["x"], "requiredDuringSchedulingIgnoredDuringExecution": None},
                "podAffinity": {},
            }
        }
    },
}
"""Name -> patch; the API server makes of each what `merged` does."""

NO_PATCHES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown-word": ({"spec": {"securityContext": {"$patch": "merge"}}}, "spec.securityContext: .patch is 'merge'"),
    "unknown-word-of-an-item": (_main(env=[{"name": "A", "$patch": "keep"}]), "is 'keep'"),
    "item-without-name": ({"spec": {"containers": [{"image": "x"}]}}, "spec.containers: an item has no name"),
    "deletion-without-name": ({"spec": {"volumes": [{"$patch": "delete"}]}}, "spec.volumes: an item has no name"),
    "not-retained": (
        {"spec": {"volumes": [{"name": "data", "$retainKeys": ["name"], "emptyDir": {}}]}},
        "emptyDir is not in .retainKeys",
    ),
    "other-order": (
        _main(**{"env": [{"name": "C", "value": "3"}], "$setElementOrder/env": [{"name": "A"}]}),
        "has another order",
    ),
}
"""Name -> patch that the API server refuses, and what `merged` says of it."""
