# SPDX-License-Identifier: Apache-2.0
"""Gateway API, presets of Ingresses and certificates, on clusters that have their kinds. No controller runs: tests play it."""

from __future__ import annotations

from contextlib import contextmanager

from support.go_modules import crds
from support.operating import served

HOST = "photos.example.com"
ROUTE, GATEWAY = "gateway.networking.k8s.io/v1/HTTPRoute", "gateway.networking.k8s.io/v1/Gateway"
GATEWAY_API = ("sigs.k8s.io/gateway-api@v1.6.1", "config/crd/standard", "Gateway", "HTTPRoute")
CERT_MANAGER = ("github.com/cert-manager/cert-manager@v1.21.2", "deploy/crds", "Certificate")
CERTIFICATE = "cert-manager.io/v1/Certificate"


def installed(cluster, module, folder, *kinds):
    """The kinds of another project, for as long as the context lasts."""
    return served(cluster, crds(module, folder, *kinds))


def url(instances):
    return ((instances.get("Immich", "photos") or {}).get("status") or {}).get("url")


def parent_status(*names, namespace, accepted="True", reason="Accepted"):
    """What a Gateway's controller writes into the status of a route."""
    common = {"observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z", "message": "said the gateway"}
    return {
        "status": {
            "parents": [
                {
                    "parentRef": {
                        "group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": namespace, "name": name,
                    },
                    "controllerName": "example.com/gateway",
                    "conditions": [
                        {"type": "Accepted", "status": accepted, "reason": reason, **common},
                        {"type": "ResolvedRefs", "status": "True", "reason": "ResolvedRefs", **common},
                    ],
                }
                for name in names
            ]
        }
    }  # fmt: skip


def a_gateway(name, namespace, *listeners):
    metadata = {"name": name, "namespace": namespace}
    spec = {"gatewayClassName": "example", "listeners": list(listeners)}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": metadata, "spec": spec}


HTTPS = {
    "name": "https",
    "protocol": "HTTPS",
    "port": 8443,
    "hostname": "*.example.com",
    "tls": {"mode": "Terminate", "certificateRefs": [{"name": "wildcard"}]},
}
HTTP = {"name": "http", "protocol": "HTTP", "port": 80}


def test_a_gateway_api_that_appears_later_is_noticed_used_and_missed_again(running, second_cluster):
    instances = running
    with second_cluster.namespace("gateways") as elsewhere:
        parents = [{"name": "public", "namespace": elsewhere}, {"name": "private"}]
        instances.create({"server": {"httpRoute": {"enabled": True, "parentRefs": parents, "hostnames": [HOST]}}})
        instances.wait_ready()
        warning = instances.wait_condition("Warning", "HTTPRouteUnavailable")
        assert "this cluster has no API gateway.networking.k8s.io/v1" in warning["message"]

        with installed(second_cluster, *GATEWAY_API):
            made = instances.wait("the route", lambda: instances.get(ROUTE, "photos-server"))
            assert made["metadata"]["ownerReferences"][0]["kind"] == "Immich"
            assert [rule["timeouts"] for rule in made["spec"]["rules"]] == [{"request": "0s", "backendRequest": "0s"}]
            instances.wait_settled()
            assert instances.get(ROUTE, "photos-server")["metadata"]["generation"] == 1

            instances.api.create(a_gateway("public", elsewhere, HTTP, HTTPS))
            answer = parent_status("public", namespace=elsewhere)
            instances.api.merge_patch(ROUTE, "photos-server", instances.namespace, answer, subresource="status")
            instances.wait("the listener's address", lambda: url(instances) == f"https://{HOST}:8443")

            refusal = parent_status("public", namespace=elsewhere, accepted="False", reason="NotAllowedByListeners")
            instances.api.merge_patch(ROUTE, "photos-server", instances.namespace, refusal, subresource="status")
            warning = instances.wait_condition("Warning", "NotServed")
            told = f"not served by Gateway {elsewhere}/public: NotAllowedByListeners: said the gateway"
            assert told in warning["message"]
            instances.wait("no address", lambda: url(instances) == "")
            instances.wait_ready()

            instances.api.delete(ROUTE, "photos-server", instances.namespace)
            instances.wait("a deleted route made anew", lambda: instances.get(ROUTE, "photos-server"))

            instances.change({"server": {"httpRoute": {"enabled": False}}})
            instances.wait("no route", lambda: instances.get(ROUTE, "photos-server") is None)
            instances.wait_condition("Warning", "NoWarnings")

            instances.change({"server": {"httpRoute": {"enabled": True}}})
            instances.wait("the route again", lambda: instances.get(ROUTE, "photos-server"))

        instances.wait_condition("Warning", "HTTPRouteUnavailable")
        instances.wait_ready()


def an_ingress(**settings):
    hosts = [{"host": HOST, "paths": [{"path": "/"}]}]
    return {"server": {"ingress": {"enabled": True, "hosts": hosts, **settings}}}


@contextmanager
def an_ingress_class(cluster, name, controller, **annotations):
    metadata = {"name": name, "annotations": annotations}
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass"}
    cluster.api.create({**kind, "metadata": metadata, "spec": {"controller": controller}})
    try:
        yield
    finally:
        cluster.api.delete("IngressClass", name)


NGINX = "nginx.ingress.kubernetes.io/proxy-body-size"


def annotations(instances):
    return (instances.get("Ingress", "photos-server") or {}).get("metadata", {}).get("annotations", {})


def test_a_preset_goes_by_the_controller_of_the_class_and_goes_when_it_is_switched_off(running, second_cluster):
    instances = running
    with an_ingress_class(second_cluster, "web", "k8s.io/ingress-nginx"):
        instances.create(an_ingress(ingressClassName="web", preset="Auto", annotations={"a": "b"}))
        instances.wait("the annotations", lambda: annotations(instances).get(NGINX) == "0")
        assert annotations(instances)["a"] == "b"

        instances.change({"server": {"ingress": {"annotations": {NGINX: "50g"}}}})
        instances.wait("the user's annotation", lambda: annotations(instances).get(NGINX) == "50g")

        instances.change({"server": {"ingress": {"preset": "None"}}})
        instances.wait("only the user's", lambda: annotations(instances) == {"a": "b", NGINX: "50g"})

    instances.change({"server": {"ingress": {"preset": "Auto"}}})
    warning = instances.wait_condition("Warning", "PresetIncomplete")
    assert "IngressClass web does not exist" in warning["message"]


def test_a_preset_finds_the_class_that_the_cluster_has_chosen(running, second_cluster):
    instances = running
    default = {"ingressclass.kubernetes.io/is-default-class": "true"}
    with an_ingress_class(second_cluster, "usual", "k8s.io/ingress-nginx", **default):
        instances.create(an_ingress(preset="Auto"))

        instances.wait("the annotations", lambda: annotations(instances).get(NGINX) == "0")
        assert instances.get("Ingress", "photos-server")["spec"]["ingressClassName"] == "usual"


def test_cert_manager_finds_its_annotation_and_what_it_makes_is_left_alone(running, second_cluster):
    instances = running
    issuer = {"cert-manager.io/cluster-issuer": "letsencrypt"}
    tls = [{"hosts": [HOST], "secretName": "photos-tls"}]
    with installed(second_cluster, *CERT_MANAGER):
        instances.create(an_ingress(ingressClassName="web", annotations=issuer, tls=tls))
        instances.wait("https", lambda: url(instances) == f"https://{HOST}")
        ingress = instances.get("Ingress", "photos-server")
        assert ingress["metadata"]["annotations"] == issuer
        owner = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "photos-server"}
        owner |= {"uid": ingress["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}
        [wanted] = ingress["spec"]["tls"]
        # As cert-manager's ingress-shim: labels of the Ingress, among them ours, and an owner.
        certificate = instances.api.create(
            {
                "apiVersion": "cert-manager.io/v1",
                "kind": "Certificate",
                "metadata": {
                    "name": wanted["secretName"],
                    "namespace": instances.namespace,
                    "labels": ingress["metadata"]["labels"],
                    "ownerReferences": [owner],
                },
                "spec": {
                    "secretName": wanted["secretName"],
                    "dnsNames": wanted["hosts"],
                    "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "letsencrypt"},
                },
            }
        )
        instances.secret("photos-tls", **{"tls.crt": "certificate", "tls.key": "key"})
        instances.change({"server": {"env": [{"name": "TZ", "value": "Europe/Paris"}]}})
        instances.wait_ready()
        instances.wait_settled()
        found = instances.get(CERTIFICATE, "photos-tls")
        assert found["metadata"]["resourceVersion"] == certificate["metadata"]["resourceVersion"]

        instances.change({"server": {"ingress": {"enabled": False}}})

        instances.wait("no certificate without an Ingress", lambda: instances.get(CERTIFICATE, "photos-tls") is None)
        assert instances.get("Secret", "photos-tls")
