# SPDX-License-Identifier: Apache-2.0
"""The Service of the server: as asked for, and never at odds with what is fixed."""

from __future__ import annotations

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.server_service import unserved, url
from support.instances import a_cr, an_instance_at_work, condition, found, notices, plan_for, report_for

NOW = 1767225600.0


def with_service(**settings):
    return a_cr({"server": {"service": settings}})


def service(cr, objects=()):
    return found(plan_for(cr, objects), "Service", "photos-server")


def test_without_settings_it_is_what_it_was():
    assert service(a_cr())["spec"] == {
        "type": "ClusterIP",
        "ports": [{"name": "http", "port": 2283, "protocol": "TCP", "targetPort": "http"}],
        "selector": {f"app.kubernetes.io/{k}": v for k, v in
                     {"name": "immich", "instance": "photos", "component": "server"}.items()},
    }  # fmt: skip
    assert "annotations" not in service(a_cr())["metadata"]


def test_every_setting_arrives():
    settings = {
        "loadBalancerClass": "example.com/lb",
        "loadBalancerSourceRanges": ["192.0.2.0/24"],
        "externalTrafficPolicy": "Local",
        "ipFamilyPolicy": "PreferDualStack",
        "ipFamilies": ["IPv6", "IPv4"],
    }
    port = {"port": 80, "nodePort": 32283, "appProtocol": "kubernetes.io/ws"}
    labels = {"team": "family", "app.kubernetes.io/component": "mine"}

    made = service(with_service(type="LoadBalancer", annotations={"a": "b"}, labels=labels, **settings, **port))

    assert settings.items() <= made["spec"].items()
    assert made["spec"]["ports"] == [{"name": "http", "protocol": "TCP", "targetPort": "http", **port}]
    assert made["metadata"]["annotations"] == {"a": "b"}
    assert made["metadata"]["labels"]["team"] == "family"
    assert made["metadata"]["labels"]["app.kubernetes.io/component"] == "server"


def live(*, ours=True, type_="LoadBalancer", **spec):
    fields = {"f:spec": {"f:loadBalancerClass": {}}} if ours else {}
    entry = {"manager": "immich-operator", "operation": "Apply", "fieldsV1": fields}
    objects = an_instance_at_work(a_cr())
    for item in objects:
        if (item["kind"], item["metadata"]["name"]) == ("Service", "photos-server"):
            item["metadata"] = {**item["metadata"], "managedFields": [entry]}
            item["spec"] = {**item["spec"], "type": type_, **spec}
    return objects


@pytest.mark.parametrize(
    ("wanted", "held", "ours", "applied", "warned"),
    [
        pytest.param("a/b", "a/b", True, "a/b", False, id="the-same"),
        pytest.param("c/d", "a/b", True, "a/b", True, id="another-than-ours"),
        pytest.param("c/d", "a/b", False, None, True, id="another-than-the-clusters"),
        pytest.param("c/d", None, False, None, True, id="one-where-none-was"),
        pytest.param("", "a/b", True, "a/b", True, id="none-any-more"),
        pytest.param("", "a/b", False, None, False, id="chosen-by-the-cluster"),
    ],
)
def test_the_class_of_a_load_balancer_is_never_fought_over(wanted, held, ours, applied, warned):
    objects = live(ours=ours, **({"loadBalancerClass": held} if held else {}))

    plan = plan_for(with_service(type="LoadBalancer", loadBalancerClass=wanted), objects)

    assert found(plan, "Service", "photos-server")["spec"].get("loadBalancerClass") == applied
    assert (("server", "ServiceNotChanged") in notices(plan, "warns")) is warned


def test_a_class_may_change_with_the_type():
    objects = live(type_="ClusterIP")

    made = service(with_service(type="LoadBalancer", loadBalancerClass="c/d"), objects)

    assert made["spec"]["loadBalancerClass"] == "c/d"


def test_the_first_family_stays_and_a_second_one_may_come():
    objects = live(type_="ClusterIP", ipFamilies=["IPv4"])

    other = plan_for(with_service(ipFamilies=["IPv6"]), objects)
    both = plan_for(with_service(ipFamilies=["IPv4", "IPv6"]), objects)

    assert "ipFamilies" not in found(other, "Service", "photos-server")["spec"]
    assert ("server", "ServiceNotChanged") in notices(other, "warns")
    assert found(both, "Service", "photos-server")["spec"]["ipFamilies"] == ["IPv4", "IPv6"]
    assert notices(both, "warns") == []


def balancer(address, port=80):
    status = {"loadBalancer": {"ingress": [address] if address else []}}
    metadata = {"name": "photos-server", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {
        "metadata": metadata,
        "spec": {"type": "LoadBalancer", "ports": [{"name": "http", "port": port}]},
        "status": status,
    }


@pytest.mark.parametrize(
    ("live", "address"),
    [
        pytest.param(balancer({"ip": "192.0.2.7"}), "http://192.0.2.7", id="address"),
        pytest.param(balancer({"hostname": "lb.example.com"}, 2283), "http://lb.example.com:2283", id="name-and-port"),
        pytest.param(balancer({"ip": "fd00::7"}, 81), "http://[fd00::7]:81", id="IPv6"),
        pytest.param(balancer(None), "", id="none-yet"),
        pytest.param(None, "", id="no-service"),
    ],
)
def test_the_address_is_that_of_the_load_balancer(live, address):
    assert url(live) == address


def test_a_load_balancer_that_does_not_come_is_told_after_some_minutes():
    [(message, begins)] = unserved(balancer(None))

    assert message.startswith("Service photos-server has no address")
    assert begins == NOW + 300
    assert unserved(balancer({"ip": "192.0.2.7"})) == []


def test_the_status_has_the_address_where_there_is_no_other_way_in():
    cr = with_service(type="LoadBalancer")
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
    objects = an_instance_at_work(cr)
    reached = [
        {**o, "status": status} if o["metadata"]["name"] == "photos-server" and o["kind"] == "Service" else o
        for o in objects
    ]

    assert report_for(cr, reached)["status"]["url"] == "http://192.0.2.7:2283"
    assert report_for(cr, objects)["status"]["url"] == ""
    assert condition(report_for(cr, objects, now=NOW), "Warning")["reason"] == "NotServed"
