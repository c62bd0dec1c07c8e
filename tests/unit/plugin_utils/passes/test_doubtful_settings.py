# SPDX-License-Identifier: Apache-2.0
"""What is valid and does nothing, or not what it seems to, is a warning that names the field and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from support.instances import a_cr, found, plan_for

HOSTS = [{"host": "photos.example.com", "paths": [{"path": "/"}]}]
PASSWORD = {"name": "db", "key": "password"}


def told(spec: dict[str, Any]) -> list[str]:
    reasons = ("SettingIgnored", "UnknownSetting")
    return [n.message for n in plan_for(a_cr(spec)).notices if n.effect == "warns" and n.reason in reasons]


def ingress(**fields: Any) -> dict[str, Any]:
    return {"server": {"ingress": {"enabled": True, "hosts": HOSTS, **fields}}}


def library(**fields: Any) -> dict[str, Any]:
    return {"immich": {"persistence": {"library": fields}}}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        pytest.param(
            ingress(enabled=False),
            "spec.server.ingress.hosts: there is no Ingress, because spec.server.ingress.enabled is not true",
            id="hosts-without-ingress",
        ),
        pytest.param(
            ingress(enabled=False, hosts=[], ingressClassName="nginx", tls=[{"secretName": "t"}]),
            "spec.server.ingress.tls and spec.server.ingress.ingressClassName: there is no Ingress",
            id="class-and-certificate-without-ingress",
        ),
        pytest.param(
            ingress(hosts=[{"host": "a.example", "paths": [{"path": "/immich"}]}]),
            "no path of host a.example leads to all of Immich, which can't be served below a path of its own",
            id="below-a-path",
        ),
        pytest.param(
            ingress(hosts=[{"paths": [{"path": "/", "pathType": "Exact"}]}]),
            "no path of the rule without a host leads to all of Immich",
            id="only-the-first-page",
        ),
        pytest.param(
            ingress(tls=[{"hosts": ["foto.example.com"], "secretName": "t"}]),
            "spec.server.ingress.tls[0] has a certificate for foto.example.com, which is none of the hosts",
            id="certificate-of-another-host",
        ),
        pytest.param(
            ingress(hosts=[{"host": "a.b.example.com", "paths": [{"path": "/"}]}], tls=[{"hosts": ["*.example.com"]}]),
            "has a certificate for *.example.com, which is none of the hosts",
            id="a-star-stands-for-one-part",
        ),
        pytest.param(
            {"valkey": {"persistence": {"size": "20Gi", "storageClass": "fast"}}},
            "spec.valkey.persistence.storageClass has no effect, because spec.valkey.persistence.enabled is false",
            id="volume-that-is-switched-off",
        ),
        pytest.param(
            {"machineLearning": {"persistence": {"enabled": False, "existingClaim": "models"}}},
            "spec.machineLearning.persistence.existingClaim has no effect",
            id="claim-that-is-switched-off",
        ),
        pytest.param(
            library(existingClaim="nas", size="2Ti"),
            "spec.immich.persistence.library.size has no effect, because spec.immich.persistence.library.existingClaim names "
            "a claim of your own",
            id="size-beside-a-claim",
        ),
        pytest.param(
            library(size="0"), "library.size is 0, which counts as not set: the volume has 10Gi", id="size-zero"
        ),
        pytest.param(library(size=10), "library.size is 10, which is less than a mebibyte", id="size-in-bytes"),
        pytest.param(
            {"postgres": {"persistence": {"size": "10m"}}},
            "spec.postgres.persistence.size is 10m, which is less than a mebibyte",
            id="size-in-thousandths",
        ),
        pytest.param(
            {"machineLearning": {"resources": {"limits": {"memory": "4096"}}}},
            "spec.machineLearning.resources.limits.memory is 4096, which is less than a mebibyte",
            id="memory-without-a-unit",
        ),
        pytest.param(
            {"valkey": {"enabled": False, "host": "localhost"}},
            "spec.valkey.host is localhost, which is the pod of the server itself",
            id="queues-at-localhost",
        ),
        pytest.param(
            {"postgres": {"enabled": False, "host": "127.0.0.1", "passwordSecretRef": PASSWORD}},
            "spec.postgres.host is 127.0.0.1, which is the pod of the server itself",
            id="database-at-the-loopback-address",
        ),
        pytest.param(
            {"machineLearning": {"enabled": False, "url": "http://[::1]:3003"}},
            "spec.machineLearning.url is ::1, which is the pod of the server itself",
            id="machine-learning-at-the-loopback-address",
        ),
        pytest.param(
            {"machineLearning": {"enabled": False, "url": "gpu:3003"}},
            "spec.machineLearning.url does not begin with http:// or https://",
            id="machine-learning-without-scheme",
        ),
        pytest.param(
            {"postgres": {"database": "immich "}},
            "spec.postgres.database begins or ends with a blank",
            id="name-with-a-blank",
        ),
        pytest.param(
            {"postgres": {"username": " immich"}}, "spec.postgres.username begins or ends with a blank", id="user"
        ),
        pytest.param(
            {"commonLabels": {"cost centre": "7", "team": "a"}},
            "spec.commonLabels: cost centre is left out, because no label can have that name",
            id="label-with-blank",
        ),
        pytest.param(
            {"commonAnnotations": {"-x/y": "7"}},
            "spec.commonAnnotations: -x/y is left out, because no annotation can have that name",
            id="annotation-with-a-wrong-prefix",
        ),
    ],
)
def test_what_has_not_the_effect_that_it_seems_to_have_is_told(spec: dict[str, Any], said: str) -> None:
    [message] = told(spec)

    assert said in message


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="nothing"),
        pytest.param(ingress(), id="ingress"),
        pytest.param(ingress(tls=[{"secretName": "t"}]), id="certificate-for-all-hosts"),
        pytest.param(ingress(tls=[{"hosts": ["*.example.com", "example.com"]}]), id="certificate-of-the-domain"),
        pytest.param(
            ingress(hosts=[{"host": "a.example", "paths": [{"path": "/share"}, {"path": "/_app"}]}]), id="some-paths"
        ),
        pytest.param(
            ingress(hosts=[{"host": "a.example", "paths": [{"path": "/*", "pathType": "ImplementationSpecific"}]}]),
            id="paths-in-the-language-of-a-controller",
        ),
        pytest.param({"server": {"enabled": False, "ingress": {"hosts": HOSTS}}}, id="no-server"),
        pytest.param(library(existingClaim="nas", accessModes=["ReadWriteMany"]), id="modes-of-a-claim-that-exists"),
        pytest.param(library(size="1Ti", storageClass="fast"), id="size-and-class"),
        pytest.param({"valkey": {"persistence": {"enabled": True, "size": "2Gi"}}}, id="volume-that-is-switched-on"),
        pytest.param({"server": {"resources": {"limits": {"memory": "4Gi", "cpu": "500m"}}}}, id="resources"),
        pytest.param({"valkey": {"enabled": False, "host": "localhost.localdomain.example"}}, id="another-host"),
        pytest.param({"machineLearning": {"enabled": False}}, id="no-machine-learning"),
        pytest.param({"commonLabels": {"example.com/team": "a", "Team_1": "b"}}, id="labels"),
    ],
)
def test_what_does_what_it_says_is_nothing_to_tell_of(spec: dict[str, Any]) -> None:
    assert told(spec) == []


def test_a_size_of_zero_is_the_default_size() -> None:
    claim = found(plan_for(a_cr(library(size="0"))), "PersistentVolumeClaim", "photos-library")

    assert claim["spec"]["resources"]["requests"] == {"storage": "10Gi"}


def test_a_label_that_no_object_can_have_keeps_no_object_from_being_written() -> None:
    plan = plan_for(a_cr({"commonLabels": {"cost centre": "7", "team": "a"}}))

    assert all("cost centre" not in manifest["metadata"].get("labels", {}) for manifest in plan.objects)
    assert all(manifest["metadata"]["labels"]["team"] == "a" for manifest in plan.objects)
