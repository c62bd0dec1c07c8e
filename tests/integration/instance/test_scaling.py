# SPDX-License-Identifier: Apache-2.0
"""Services, autoscalers, disruption budgets and network policies, as the API server and its controllers take them."""

from __future__ import annotations

import pytest

SHARED = {"immich": {"persistence": {"library": {"accessModes": ["ReadWriteMany"]}}}}
NO_CACHE = {"persistence": {"enabled": False}}
HPA, PDB = "autoscaling/v2/HorizontalPodAutoscaler", "policy/v1/PodDisruptionBudget"
POLICY = "networking.k8s.io/v1/NetworkPolicy"
LEARNING, SERVER = "photos-machine-learning", "photos-server"


def replicas(instances):
    return instances.get("Deployment", LEARNING)["spec"]["replicas"]


def learning(**settings):
    return {"machineLearning": {**NO_CACHE, **settings}}


@pytest.mark.parametrize(
    "moved", [pytest.param(True, id="and-has-scaled"), pytest.param(False, id="and-has-not-scaled")]
)
def test_an_autoscaler_comes_and_goes_without_setting_the_number_of_pods_back(instances, moved):
    instances.create(learning(replicas=3))
    instances.wait_ready()
    uids = instances.pod_uids()["machine-learning"]
    assert len(uids) == 3

    scaling = {"enabled": True, "minReplicas": 2, "maxReplicas": 5}
    instances.change(learning(replicas=None, autoscaling=scaling))
    instances.wait("the autoscaler", lambda: instances.get(HPA, LEARNING))
    instances.wait_settled()
    assert replicas(instances) == 3
    if moved:
        # Below the least, Kubernetes' controller acts without any metrics.
        instances.change({"machineLearning": {"autoscaling": {"minReplicas": 4}}})
        instances.wait("the autoscaler's number", lambda: replicas(instances) == 4)
        instances.wait_settled()
    expected = 4 if moved else 3
    assert replicas(instances) == expected

    instances.change({"machineLearning": {"autoscaling": {"enabled": False}}})
    instances.wait("no autoscaler", lambda: instances.get(HPA, LEARNING) is None)
    instances.wait_settled()

    assert replicas(instances) == expected
    assert uids <= instances.pod_uids()["machine-learning"], "the number was smaller for a while"
    instances.change({"machineLearning": {"env": [{"name": "A", "value": "b"}]}})
    instances.wait_ready()
    assert replicas(instances) == expected


def test_a_budget_is_made_for_two_pods_and_never_holds_up_a_drain(instances):
    instances.create({**SHARED, "server": {"replicas": 2, "podDisruptionBudget": {"enabled": True}}})
    instances.wait_ready()
    budget = instances.wait("the budget", lambda: instances.get(PDB, SERVER))
    assert budget["spec"]["maxUnavailable"] == 1
    instances.wait(
        "one pod that may go", lambda: (instances.get(PDB, SERVER).get("status") or {}).get("disruptionsAllowed") == 1
    )

    instances.change({"server": {"replicas": 1}})

    warning = instances.wait_condition("Warning", "DisruptionNotBounded")
    assert "PodDisruptionBudget photos-server is not made: server has one pod" in warning["message"]
    instances.wait("no budget", lambda: instances.get(PDB, SERVER) is None)
    instances.wait_ready()
    [pod] = instances.wait("one pod", lambda: len(instances.pods("server")) == 1 and instances.pods("server"))
    evict(instances, pod)


def evict(instances, pod):
    """As kubectl drain does. ApiError if a budget forbids it."""
    name = pod["metadata"]["name"]
    path = f"/api/v1/namespaces/{instances.namespace}/pods/{name}/eviction"
    metadata = {"name": name, "namespace": instances.namespace}
    instances.api.request("POST", path, body={"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata})


def service(instances):
    return instances.get("Service", SERVER)


def test_a_load_balancer_comes_and_goes_and_keeps_what_kubernetes_has_chosen(instances):
    instances.create()
    instances.wait_ready()
    before = service(instances)["spec"]

    instances.change({"server": {"service": {"type": "LoadBalancer", "port": 80, "externalTrafficPolicy": "Local"}}})
    made = instances.wait(
        "the load balancer", lambda: service(instances)["spec"]["type"] == "LoadBalancer" and service(instances)
    )
    [port] = made["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, "http")
    assert made["spec"]["clusterIP"] == before["clusterIP"]
    instances.wait_settled()
    assert service(instances)["spec"] == made["spec"]

    address = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}
    instances.api.merge_patch("Service", SERVER, instances.namespace, address, subresource="status")
    instances.wait("its address", lambda: instances.get("Immich", "photos")["status"]["url"] == "http://192.0.2.7")

    instances.change({"server": {"service": {"loadBalancerClass": "example.com/lb"}}})
    warning = instances.wait_condition("Warning", "ServiceNotChanged")
    assert "Service photos-server keeps its load balancer class" in warning["message"]
    assert instances.condition("Degraded")["status"] == "False"

    plain = {"type": "ClusterIP", "port": None, "externalTrafficPolicy": None, "loadBalancerClass": None}
    instances.change({"server": {"service": plain}})
    instances.wait("the Service of before", lambda: service(instances)["spec"] == before)
    instances.wait_condition("Warning", "NoWarnings")
    instances.wait("no address", lambda: instances.get("Immich", "photos")["status"]["url"] == "")


def test_a_fixed_class_and_family_stay_and_are_told_of(instances):
    balancer = {"type": "LoadBalancer", "loadBalancerClass": "example.com/one"}
    instances.create({"server": {"service": {**balancer, "ipFamilyPolicy": "PreferDualStack"}}})
    instances.wait_ready()

    instances.change({"server": {"service": {"loadBalancerClass": "example.com/two", "ipFamilies": ["IPv6"]}}})

    warning = instances.wait_condition("Warning", "ServiceNotChanged")
    assert "keeps its load balancer class example.com/one" in warning["message"]
    assert "keeps IPv4 as its first address family" in warning["message"]
    assert instances.condition("Degraded")["status"] == "False"
    assert service(instances)["spec"]["loadBalancerClass"] == "example.com/one"

    instances.change({"server": {"service": {"type": "ClusterIP", "loadBalancerClass": None, "ipFamilies": None}}})
    instances.wait("no class", lambda: "loadBalancerClass" not in service(instances)["spec"])
    instances.change({"server": {"service": {"type": "LoadBalancer", "loadBalancerClass": "example.com/two"}}})
    instances.wait("another class", lambda: service(instances)["spec"].get("loadBalancerClass") == "example.com/two")


def test_a_chosen_port_of_the_nodes_stays_and_a_taken_one_is_told(instances):
    instances.create({"server": {"service": {"type": "NodePort", "nodePort": 32283}}})
    instances.wait_ready()
    assert service(instances)["spec"]["ports"][0]["nodePort"] == 32283

    instances.create({"server": {"service": {"type": "NodePort", "nodePort": 32283}}}, "other")

    condition = instances.wait_condition("ServerReady", "ApplyFailed", "other")
    assert "/other-server: 422 Invalid" in condition["message"]
    assert "provided port is already allocated" in condition["message"]


def test_policies_are_stored_as_planned_and_go_with_their_switch(instances):
    peers = {
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}, "podSelector": {}}],
        "prometheusFrom": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}],
        "egress": {"enabled": True, "to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]},
    }
    instances.create({"immich": {"metrics": {"enabled": True}}, "networkPolicy": {"enabled": True, **peers}})
    instances.wait_ready()
    names = [f"photos-{component}" for component in ("server", "machine-learning", "valkey", "postgres")]
    made = {name: instances.get(POLICY, name) for name in names}
    assert made[SERVER]["spec"]["ingress"][0]["from"] == peers["from"]
    assert made[SERVER]["spec"]["ingress"][1]["from"] == peers["prometheusFrom"]
    assert made[SERVER]["spec"]["egress"][-1]["to"] == peers["egress"]["to"]
    instances.wait_settled()
    assert {name: instances.get(POLICY, name)["metadata"]["generation"] for name in names} == dict.fromkeys(names, 1)

    instances.api.delete(POLICY, "photos-postgres", instances.namespace)
    instances.wait("a deleted policy made anew", lambda: instances.get(POLICY, "photos-postgres"))

    instances.change({"networkPolicy": {"enabled": False}})
    instances.wait("no policies", lambda: not any(instances.get(POLICY, name) for name in names))
    instances.wait_ready()
