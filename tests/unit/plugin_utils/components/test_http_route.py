# SPDX-License-Identifier: Apache-2.0
"""HTTPRoute of the Gateway API: the object, what its parents say, and the address."""

from __future__ import annotations

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.http_route import ANSWER_WITHIN_S, unserved, url
from support.instances import a_cr, an_instance_at_work, condition, deletions, found, has, notices, plan_for, report_for

HOST = "photos.example.com"
GATEWAY = {"name": "public", "namespace": "infra"}
PARENT = {"group": "gateway.networking.k8s.io", "kind": "Gateway", **GATEWAY}


def with_route(**settings):
    return a_cr({"server": {"httpRoute": {"enabled": True, "parentRefs": [GATEWAY], "hostnames": [HOST], **settings}}})


def made(cr, **cluster):
    return found(plan_for(cr, http_route=True, **cluster), "HTTPRoute", "photos-server")


def test_a_route_leads_all_paths_to_the_service_and_ends_no_upload():
    route = made(with_route(annotations={"a": "b"}, labels={"team": "family"}))

    assert route["metadata"]["annotations"] == {"a": "b"}
    assert route["metadata"]["labels"]["team"] == "family"
    assert route["metadata"]["ownerReferences"][0]["kind"] == "Immich"
    backend = {"group": "", "kind": "Service", "name": "photos-server", "port": 2283, "weight": 1}
    assert route["spec"] == {
        "parentRefs": [PARENT],
        "hostnames": [HOST],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [backend],
                "timeouts": {"request": "0s", "backendRequest": "0s"},
            }
        ],
    }


def test_it_follows_the_port_of_the_service():
    spec = {"server": {"service": {"port": 80}, "httpRoute": {"enabled": True, "parentRefs": [GATEWAY]}}}

    [rule] = made(a_cr(spec))["spec"]["rules"]

    assert rule["backendRefs"][0]["port"] == 80


@pytest.mark.parametrize(
    ("given", "written"),
    [
        pytest.param({"request": "", "backendRequest": ""}, None, id="none-at-all"),
        pytest.param({"request": "1h", "backendRequest": ""}, {"request": "1h"}, id="one"),
    ],
)
def test_a_gateway_that_knows_no_timeouts_is_told_of_none(given, written):
    [rule] = made(with_route(timeouts=given))["spec"]["rules"]

    assert rule.get("timeouts") == written


def test_without_the_api_there_is_a_warning_and_no_route():
    plan = plan_for(with_route())

    assert not has(plan, "HTTPRoute", "photos-server")
    assert notices(plan, "warns") == [("server", "HTTPRouteUnavailable")]


def test_a_route_that_is_switched_off_is_removed():
    objects = an_instance_at_work(with_route(), http_route=True)

    assert ("HTTPRoute", "photos-server") in deletions(plan_for(a_cr(), objects, http_route=True))
    assert deletions(plan_for(with_route(), objects, http_route=True)) == []


def answer(*, accepted="True", resolved="True", reason="Accepted", message="", parent=PARENT):
    conditions = [
        {"type": "Accepted", "status": accepted, "reason": reason, "message": message},
        {"type": "ResolvedRefs", "status": resolved, "reason": reason, "message": message},
    ]
    return {"parentRef": parent, "controllerName": "example.com/gateway", "conditions": conditions}


def live(*answers, parents=(PARENT,), hostnames=(HOST,)):
    metadata = {"name": "photos-server", "namespace": "family", "creationTimestamp": "2026-01-01T00:00:00Z"}
    spec = {"parentRefs": list(parents), "hostnames": list(hostnames)}
    return {"kind": "HTTPRoute", "metadata": metadata, "spec": spec, "status": {"parents": list(answers)}}


NEW_YEAR = 1767225600.0


def test_a_parent_that_says_nothing_for_a_minute_is_named():
    [(message, begins)] = unserved(live())

    assert "HTTPRoute photos-server is served by nobody: Gateway infra/public has not answered" in message
    assert begins == NEW_YEAR + ANSWER_WITHIN_S


def test_an_answer_without_a_word_of_acceptance_is_none_yet():
    half = {**answer(), "conditions": [{"type": "ResolvedRefs", "status": "True"}]}

    [(message, begins)] = unserved(live(half))

    assert "has not answered" in message
    assert begins == NEW_YEAR + ANSWER_WITHIN_S


@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param(
            answer(accepted="False", reason="NoMatchingListenerHostname", message="no listener has this host"),
            "NoMatchingListenerHostname: no listener has this host",
            id="not-accepted",
        ),
        pytest.param(
            answer(resolved="False", reason="UnsupportedProtocol", message="kubernetes.io/ws"),
            "UnsupportedProtocol: kubernetes.io/ws",
            id="not-resolved",
        ),
    ],
)
def test_what_a_parent_refuses_is_told_in_its_words(said, words):
    [(message, begins)] = unserved(live(said))

    assert message.startswith(f"HTTPRoute photos-server is not served by Gateway infra/public: {words}")
    assert begins == 0.0


def test_each_parent_is_judged_by_its_own_answer():
    other = {**PARENT, "name": "private", "sectionName": "web"}
    told = unserved(live(answer(), answer(parent=other, accepted="False"), parents=(PARENT, other)))

    assert ["Gateway infra/private, listener web" in message for message, _unused in told] == [True]


def test_one_of_two_controllers_of_a_parent_is_enough():
    assert unserved(live(answer(accepted="False"), answer())) == []


def test_a_parent_in_the_own_namespace_need_not_name_it():
    own = {key: value for key, value in PARENT.items() if key != "namespace"}

    assert unserved(live(answer(parent={**own, "namespace": "family"}), parents=(own,))) == []


def gateway(*listeners, addresses=("192.0.2.9",)):
    return {
        ("infra", "public"): {
            "spec": {"listeners": listeners},
            "status": {"addresses": [{"value": a} for a in addresses]},
        }
    }


HTTP = {"name": "web", "protocol": "HTTP", "port": 80}
HTTPS = {"name": "tls", "protocol": "HTTPS", "port": 443}


@pytest.mark.parametrize(
    ("listeners", "parent", "hostnames", "address"),
    [
        pytest.param([HTTP, HTTPS], {}, [HOST], f"https://{HOST}", id="https-is-preferred"),
        pytest.param([HTTP, HTTPS], {"sectionName": "web"}, [HOST], f"http://{HOST}", id="the-listener-that-is-named"),
        pytest.param([HTTP, HTTPS], {"port": 80}, [HOST], f"http://{HOST}", id="the-port-that-is-named"),
        pytest.param([{**HTTPS, "port": 8443}], {}, [HOST], f"https://{HOST}:8443", id="an-unusual-port"),
        pytest.param([{**HTTPS, "hostname": "*.example.com"}], {}, [HOST], f"https://{HOST}", id="a-wildcard-listener"),
        pytest.param([{**HTTPS, "hostname": "a.example.org"}, HTTP], {}, [HOST], f"http://{HOST}", id="not-its-host"),
        pytest.param([{**HTTPS, "hostname": HOST}], {}, ["*.example.com"], f"https://{HOST}", id="a-wildcard-route"),
        pytest.param([{**HTTPS, "hostname": HOST}], {}, [], f"https://{HOST}", id="the-listeners-host"),
        pytest.param([HTTP], {}, [], "http://192.0.2.9", id="no-host-at-all"),
        pytest.param([{**HTTP, "protocol": "TCP"}], {}, [HOST], "", id="no-listener-for-the-web"),
    ],
)
def test_the_address_is_that_of_the_listener(listeners, parent, hostnames, address):
    reference = {**PARENT, **parent}

    assert (
        url(live(answer(parent=reference), parents=(reference,), hostnames=hostnames), gateway(*listeners)) == address
    )


def test_there_is_no_address_before_a_gateway_serves_it():
    assert url(live(), gateway(HTTPS)) == ""
    assert url(live(answer(accepted="False")), gateway(HTTPS)) == ""
    assert url(live(answer()), {}) == ""


def test_the_status_has_the_address_and_warns_of_a_refusal():
    objects = an_instance_at_work(with_route(), http_route=True)
    looked_up = [{"kind": "Gateway", **GATEWAY, "object": gateway(HTTPS)["infra", "public"], "forbidden": False}]

    def told(said):
        present = [{**o, "status": {"parents": [said]}} if o["kind"] == "HTTPRoute" else o for o in objects]
        return report_for(with_route(), present, http_route=True, looked_up=looked_up)

    assert told(answer())["status"]["url"] == f"https://{HOST}"
    assert condition(told(answer()), "Warning")["status"] == "False"
    refused = told(answer(accepted="False", reason="NotAllowedByListeners"))
    assert refused["status"]["url"] == ""
    assert condition(refused, "Warning")["reason"] == "NotServed"
