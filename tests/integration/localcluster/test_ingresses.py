# SPDX-License-Identifier: Apache-2.0
"""Ingresses on the local cluster."""

from localcluster.testing import Cluster


def test_an_ingress_with_a_class_gets_an_address_and_one_without_or_of_nobody_gets_none(
    cluster: Cluster, namespace: str
) -> None:
    backend = {"service": {"name": "x", "port": {"number": 80}}}
    for name, spec in (
        ("without", {}),
        ("nobodys", {"ingressClassName": "nobody"}),
        ("served", {"ingressClassName": "nginx"}),
    ):
        cluster.api.create(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "Ingress",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {**spec, "defaultBackend": backend},
            }
        )

    served = cluster.api.wait_for(
        "Ingress", "served", namespace, lambda live: (live.get("status") or {}).get("loadBalancer")
    )

    assert served["status"]["loadBalancer"]["ingress"] == [{"ip": "192.0.2.80"}]
    for name in ("without", "nobodys"):
        assert not cluster.api.get("Ingress", name, namespace)["status"]["loadBalancer"]
