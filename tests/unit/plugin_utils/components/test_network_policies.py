# SPDX-License-Identifier: Apache-2.0
"""Who reaches what with the NetworkPolicies of an instance, by the semantics of the API."""

from __future__ import annotations

import pytest

from support.instances import a_cr, a_secret, an_instance_at_work, deletions, has, notices, plan_for
from support.network_policies import End, lets_through

COMPONENTS = {"server": 2283, "machine-learning": 3003, "valkey": 6379, "postgres": 5432}
NGINX = {"namespaceSelector": {"matchLabels": {"name": "ingress-nginx"}}}
PROMETHEUS = {
    "namespaceSelector": {"matchLabels": {"name": "monitoring"}},
    "podSelector": {"matchLabels": {"app": "prometheus"}},
}
CONTROLLER = End({"app": "nginx"}, "ingress-nginx", {"name": "ingress-nginx"})
SCRAPER = End({"app": "prometheus"}, "monitoring", {"name": "monitoring"})
NEIGHBOUR = End({"app": "shop"})
INTERNET = End(address="203.0.113.7")


def isolated(*, spec=None, **settings):
    return a_cr({"networkPolicy": {"enabled": True, **settings}, **(spec or {})})


def pod(component, instance="photos"):
    names = {"name": "immich", "instance": instance, "component": component}
    return End({f"app.kubernetes.io/{key}": value for key, value in names.items()})


def policies(cr):
    secret = a_secret("db", password="x", url="postgresql://immich:x@db.example.com/immich")
    return [manifest for manifest in plan_for(cr, [secret]).objects if manifest["kind"] == "NetworkPolicy"]


def test_without_the_switch_there_is_none():
    assert policies(a_cr()) == []


def test_each_component_has_its_own():
    assert {policy["metadata"]["name"] for policy in policies(isolated())} == {f"photos-{name}" for name in COMPONENTS}


@pytest.mark.parametrize("component", ["machine-learning", "valkey", "postgres"])
def test_only_the_server_reaches_what_it_uses(component):
    present, port = policies(isolated()), COMPONENTS[component]

    assert lets_through(present, pod("server"), pod(component), port)
    for stranger in (NEIGHBOUR, CONTROLLER, INTERNET, pod("server", "other"), pod("machine-learning"), pod("valkey")):
        assert not lets_through(present, stranger, pod(component), port), stranger
    assert not lets_through(present, pod("server"), pod(component), port + 1)


def test_everybody_reaches_the_server_unless_somebody_is_named():
    for end in (NEIGHBOUR, CONTROLLER, INTERNET):
        assert lets_through(policies(isolated()), end, pod("server"), 2283)

    named = policies(isolated(**{"from": [NGINX]}))

    assert lets_through(named, CONTROLLER, pod("server"), 2283)
    for end in (NEIGHBOUR, SCRAPER, INTERNET):
        assert not lets_through(named, end, pod("server"), 2283)


def test_metrics_are_for_those_who_are_named():
    metrics = {"immich": {"metrics": {"enabled": True}}}
    named = policies(isolated(spec=metrics, prometheusFrom=[PROMETHEUS]))

    for port in (8081, 8082):
        assert lets_through(named, SCRAPER, pod("server"), port)
        assert not lets_through(named, NEIGHBOUR, pod("server"), port)
        assert not lets_through(named, End({}, "monitoring", {"name": "monitoring"}), pod("server"), port)
        assert lets_through(policies(isolated(spec=metrics)), NEIGHBOUR, pod("server"), port)
        assert not lets_through(policies(isolated()), NEIGHBOUR, pod("server"), port)


def test_a_way_out_is_open_until_it_is_bounded():
    assert lets_through(policies(isolated()), pod("server"), INTERNET, 443)
    assert lets_through(policies(isolated()), pod("postgres"), INTERNET, 443)


def test_bounded_pods_reach_names_each_other_and_what_is_named():
    mail = {"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.99/32"]}}
    present = policies(isolated(egress={"enabled": True, "to": [mail]}))
    dns = End({"k8s-app": "kube-dns"}, "kube-system", {})

    for client in ("server", "machine-learning"):
        assert lets_through(present, pod(client), INTERNET, 443)
        assert not lets_through(present, pod(client), End(address="203.0.113.99"), 443)
        assert not lets_through(present, pod(client), End(address="198.51.100.1"), 443)
        assert all(lets_through(present, pod(client), dns, 53, protocol) for protocol in ("UDP", "TCP"))
    for name in ("machine-learning", "valkey", "postgres"):
        assert lets_through(present, pod("server"), pod(name), COMPONENTS[name])
    for store in ("valkey", "postgres"):
        for end in (INTERNET, dns, NEIGHBOUR, pod("server")):
            assert not any(lets_through(present, pod(store), end, port) for port in (53, 443, 2283))


def test_bounded_pods_reach_external_services_at_their_ports():
    spec = {
        "postgres": {
            "enabled": False, "host": "db.example.com", "port": 6432, "passwordSecretRef": {"name": "db", "key": "password"},
        },
        "valkey": {"enabled": False, "host": "cache.example.com"},
        "machineLearning": {"enabled": False, "url": "http://gpu.example.com:3003"},
    }  # fmt: skip
    present = policies(isolated(spec=spec, egress={"enabled": True}))

    assert [policy["metadata"]["name"] for policy in present] == ["photos-server"]
    assert all(lets_through(present, pod("server"), INTERNET, port) for port in (6432, 6379, 3003))
    assert not lets_through(present, pod("server"), INTERNET, 443)


def test_sentinels_are_reached_as_well():
    sentinel = {"masterName": "queues", "hosts": [{"host": "s1.example.com"}, {"host": "s2.example.com", "port": 5000}]}
    spec = {"valkey": {"enabled": False, "sentinel": sentinel}}

    present = policies(isolated(spec=spec, egress={"enabled": True}))

    assert all(lets_through(present, pod("server"), INTERNET, port) for port in (6379, 26379, 5000))


@pytest.mark.parametrize(
    ("url", "port"),
    [pytest.param("https://gpu.example.com", 443, id="https"), pytest.param("http://[fd00::1", 80, id="no-url")],
)
def test_the_port_of_external_machine_learning_is_that_of_its_url(url, port):
    spec = {"machineLearning": {"enabled": False, "url": url}}

    present = policies(isolated(spec=spec, egress={"enabled": True}))

    assert lets_through(present, pod("server"), INTERNET, port) is (port == 443)


def test_a_database_that_only_a_secret_knows_has_to_be_named():
    spec = {"postgres": {"enabled": False, "urlSecretRef": {"name": "db", "key": "url"}}}
    peer = {"ipBlock": {"cidr": "192.0.2.0/24"}}

    def told(**egress):
        return notices(plan_for(isolated(spec=spec, egress=egress)), "warns")

    assert ("server", "EgressIncomplete") in told(enabled=True)
    assert ("server", "EgressIncomplete") not in told(enabled=True, to=[peer])
    assert ("server", "EgressIncomplete") not in told(enabled=False)


def test_they_go_with_their_switch_and_with_their_component():
    objects = an_instance_at_work(isolated())
    names = {("NetworkPolicy", f"photos-{component}") for component in COMPONENTS}

    assert deletions(plan_for(isolated(), objects)) == []
    assert set(deletions(plan_for(a_cr(), objects))) == names
    off = plan_for(isolated(spec={"machineLearning": {"enabled": False}}), objects)
    assert ("NetworkPolicy", "photos-machine-learning") in deletions(off)
    assert has(off, "NetworkPolicy", "photos-postgres")
