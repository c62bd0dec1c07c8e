# SPDX-License-Identifier: Apache-2.0
"""Ingress, OpenShift Route, and the address in the status."""

from __future__ import annotations

import json

from support.operating import served

HOST = "photos.example.com"
ROUTE = "route.openshift.io/v1/Route"


def ingress(*hosts, **settings):
    rules = [{"host": host, "paths": [{"path": "/", "pathType": "Prefix"}]} for host in hosts]
    return {"server": {"ingress": {"enabled": True, "hosts": rules, **settings}}}


def url(instances, name="photos"):
    return ((instances.get("Immich", name) or {}).get("status") or {}).get("url")


FORMER, PORT = "metrics-jobs", "metrics-ms"
"""Names of port 8082: the one that version 0.1.0 gave it, and the one that monitors of the former operator look for."""


def port_names(manifest):
    """{number: name} of a Service's or a Deployment's ports."""
    if manifest["kind"] == "Service":
        return {port["port"]: port["name"] for port in manifest["spec"]["ports"]}
    [container] = manifest["spec"]["template"]["spec"]["containers"]
    return {port["containerPort"]: port["name"] for port in container["ports"]}


def test_an_instance_of_an_earlier_version_gets_the_port_name_that_monitors_look_for(instances):
    instances.create({"immich": {"metrics": {"enabled": True}}})
    instances.wait_ready()
    service = instances.get("Service", "photos-server")
    metadata = {key: service["metadata"][key] for key in ("name", "namespace", "labels", "ownerReferences")}
    spec = {key: service["spec"][key] for key in ("type", "selector", "ports")}
    former = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}

    instances.api.apply(json.loads(json.dumps(former).replace(PORT, FORMER)), field_manager="immich-operator")
    deployment = json.dumps(instances.get("Deployment", "photos-server")["spec"]["template"]["spec"]["containers"])
    containers = {"spec": {"template": {"spec": {"containers": json.loads(deployment.replace(PORT, FORMER))}}}}
    instances.api.merge_patch("Deployment", "photos-server", instances.namespace, containers)

    for kind in ("Service", "Deployment"):
        named = instances.wait(
            f"the name of the port of the {kind}",
            lambda kind=kind: port_names(instances.get(kind, "photos-server")).get(8082) == PORT,
        )
        assert named
    instances.wait_ready()
    service = instances.get("Service", "photos-server")
    assert port_names(service) == {2283: "http", 8081: "metrics-api", 8082: PORT}
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http", "metrics-api", PORT]


def test_an_ingress_is_as_written_and_leads_to_the_server(instances):
    instances.create(
        ingress(
            HOST,
            "other.example.com",
            ingressClassName="nginx",
            annotations={"nginx.ingress.kubernetes.io/proxy-body-size": "0"},
            tls=[{"hosts": ["other.example.com"], "secretName": "certificate"}],
        )
    )

    instances.wait_ready()

    made = instances.get("Ingress", "photos-server")
    backend = {"service": {"name": "photos-server", "port": {"name": "http"}}}
    paths = {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}
    assert made["spec"] == {
        "ingressClassName": "nginx",
        "rules": [{"host": HOST, "http": paths}, {"host": "other.example.com", "http": paths}],
        "tls": [{"hosts": ["other.example.com"], "secretName": "certificate"}],
    }
    assert made["metadata"]["annotations"] == {"nginx.ingress.kubernetes.io/proxy-body-size": "0"}
    assert url(instances) == f"http://{HOST}", "its host is not among those with TLS"


def test_an_ingress_that_nobody_serves_has_no_url_but_a_reason(instances):
    instances.create(ingress(HOST))

    warning = instances.wait_condition("Warning", "NotServed")

    assert "Ingress photos-server is served by nobody: it names no class" in warning["message"]
    assert url(instances) == ""
    instances.wait_ready()

    instances.change(ingress(HOST, ingressClassName="nginx"))

    instances.wait_condition("Warning", "NoWarnings")
    instances.wait("the address of the host", lambda: url(instances) == f"http://{HOST}")


def test_the_address_follows_the_ingress(instances):
    instances.create(ingress(HOST, ingressClassName="nginx"))
    instances.wait("the address of the host", lambda: url(instances) == f"http://{HOST}")

    instances.change(ingress(HOST, tls=[{"hosts": [HOST], "secretName": "certificate"}]))
    instances.wait("https when TLS covers the host", lambda: url(instances) == f"https://{HOST}")

    instances.change({"server": {"ingress": {"hosts": [{"paths": [{"path": "/"}]}], "tls": None}}})
    instances.wait("the load balancer's address without a host", lambda: url(instances) == "http://192.0.2.80")

    address = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}
    instances.api.merge_patch("Ingress", "photos-server", instances.namespace, address, subresource="status")
    instances.wait("another address of the load balancer", lambda: url(instances) == "http://192.0.2.7")

    instances.change({"server": {"ingress": {"enabled": False}}})
    instances.wait("no Ingress", lambda: instances.get("Ingress", "photos-server") is None)
    instances.wait("no address without an Ingress", lambda: url(instances) == "")


def a_crd(group, kind, plural):
    """A kind of OpenShift with a schema that takes anything."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }


def openshift(cluster):
    """The two APIs by which a cluster shows that it is OpenShift, for as long as the context lasts."""
    crds = [
        a_crd("route.openshift.io", "Route", "routes"),
        a_crd("security.openshift.io", "SecurityContextConstraints", "securitycontextconstraints"),
    ]
    return served(cluster, crds)


def test_a_route_api_that_appears_later_is_noticed_used_and_missed_again(running, second_cluster):
    instances = running
    instances.create()
    instances.create({"server": {"route": {"enabled": True}}}, "wants")
    instances.wait_ready()
    instances.wait_ready("wants")
    warning = instances.condition("Warning", "wants")
    assert (warning["status"], warning["reason"]) == ("True", "RouteUnavailable")
    assert "spec.server.route.enabled is true, but this cluster has no API route.openshift.io/v1" in warning["message"]
    assert instances.condition("Warning")["status"] == "False"
    pods = instances.pod_uids()

    with openshift(second_cluster):
        route = instances.wait("a Route by default", lambda: instances.get(ROUTE, "photos-server"))
        instances.wait("the Route that was wanted", lambda: instances.get(ROUTE, "wants-server"))
        instances.wait_condition("Warning", "NoWarnings", "wants")

        assert route["spec"] == {
            "to": {"kind": "Service", "name": "photos-server", "weight": 100},
            "port": {"targetPort": "http"},
            "tls": {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"},
            "wildcardPolicy": "None",
        }
        assert route["metadata"]["ownerReferences"][0]["kind"] == "Immich"

        admitted = {"status": {"ingress": [{"host": "photos-server.apps.example.com"}]}}
        instances.api.merge_patch(ROUTE, "photos-server", instances.namespace, admitted, subresource="status")
        instances.wait("the router's address", lambda: url(instances) == "https://photos-server.apps.example.com")

        settings = {"host": HOST, "path": "/", "annotations": {"a": "b"}, "labels": {"router": "public"}}
        instances.change({"server": {"route": {**settings, "tls": {"termination": "passthrough"}}}})
        instances.wait("the host's address", lambda: url(instances) == f"https://{HOST}")
        route = instances.get(ROUTE, "photos-server")
        assert route["spec"]["tls"]["termination"] == "passthrough"
        assert route["metadata"]["annotations"] == {"a": "b"}
        assert route["metadata"]["labels"]["router"] == "public"

        instances.api.delete(ROUTE, "photos-server", instances.namespace)
        instances.wait("a deleted Route made anew", lambda: instances.get(ROUTE, "photos-server"))

        instances.change({"server": {"route": {"enabled": False}}})
        instances.wait("no Route", lambda: instances.get(ROUTE, "photos-server") is None)
        instances.wait("no address", lambda: url(instances) == "")

        instances.wait("pods without fixed ids, as the platform assigns them", lambda: has_no_ids(instances))
        instances.wait_ready()
        after = instances.pod_uids()
        assert (after["server"], after["machine-learning"]) == (pods["server"], pods["machine-learning"])

    instances.wait_condition("Warning", "RouteUnavailable", "wants")
    instances.change({"machineLearning": {"replicas": 0}})
    instances.wait_ready()


def has_no_ids(instances):
    contexts = [
        pod["spec"]["securityContext"] for component in ("valkey", "postgres") for pod in instances.pods(component)
    ]
    return len(contexts) == 2 and not any(key in context for context in contexts for key in ("runAsUser", "fsGroup"))
