# SPDX-License-Identifier: Apache-2.0
"""Admission of Ingress, Route and Immich's own configuration."""

from __future__ import annotations

from tests.unit.plugin_utils.spec import admission_case as say
from tests.unit.plugin_utils.spec.admission_case import (
    EXTERNAL_DATABASE,
    HOST,
    LEVELS,
    PASSWORD,
    accepted,
    ingress,
    nested,
    refused,
    server,
)

INGRESS = [
    accepted("ingress-off-without-hosts", {"server": {"ingress": {"enabled": False}}}),
    accepted("ingress", ingress(hosts=[HOST], tls=[{"hosts": ["photos.example.com"], "secretName": "tls"}])),
    accepted("ingress-for-any-host", ingress(hosts=[{"paths": [{}]}])),
    accepted(
        "ingress-with-empty-path-and-type", ingress(hosts=[{"host": "", "paths": [{"path": "", "pathType": ""}]}])
    ),
    accepted("ingress-wildcard-host", ingress(hosts=[HOST | {"host": "*.example.com"}])),
    accepted("ingress-of-a-server-that-is-off", {"server": {"enabled": False, "ingress": {"enabled": True}}}),
    refused(
        "ingress-certificate-that-nothing-can-be-named",
        ingress(hosts=[HOST], tls=[{"secretName": "my_tls"}]),
        ("spec.server.ingress.tls[0].secretName", say.MALFORMED),
    ),
    refused("ingress-without-hosts", ingress(), ("spec.server.ingress.hosts", say.INGRESS_HOST)),
    refused("ingress-with-empty-hosts", ingress(hosts=[]), ("spec.server.ingress.hosts", say.INGRESS_HOST)),
    refused(
        "ingress-host-without-paths",
        ingress(hosts=[{"host": "a.example.com"}]),
        ("spec.server.ingress.hosts", say.INGRESS_PATH),
    ),
    refused(
        "ingress-host-with-empty-paths",
        ingress(hosts=[HOST, {"host": "b.example.com", "paths": []}]),
        ("spec.server.ingress.hosts", say.INGRESS_PATH),
    ),
    refused(
        "ingress-path-without-slash",
        ingress(hosts=[{"paths": [{"path": "photos"}]}]),
        ("spec.server.ingress.hosts", say.INGRESS_SLASH),
    ),
    refused(
        "ingress-host-with-scheme",
        ingress(hosts=[HOST | {"host": "https://photos.example.com"}]),
        ("spec.server.ingress.hosts", say.INGRESS_DNS),
    ),
    *(
        refused(
            f"ingress-host-with-{what}",
            ingress(hosts=[HOST | {"host": host}]),
            ("spec.server.ingress.hosts", say.INGRESS_DNS),
        )
        for what, host in (
            ("address", "192.0.2.1"),
            ("upper-case", "Photos.example.com"),
            ("port", "photos.example.com:8443"),
            ("final-dot", "photos.example.com."),
            ("umlaut", "m\u00fcnchen.example"),
            ("star-alone", "*"),
            ("star-inside", "a.*.example.com"),
            ("long-part", "p" * 64 + ".example.com"),
        )
    ),
    *(
        accepted(f"ingress-host-{host}", ingress(hosts=[HOST | {"host": host}]))
        for host in ("xn--mnchen-3ya.example", "1und1.example", "1.example.com", "*.example.com", "photos")
    ),
    refused(
        "ingress-certificate-for-a-url",
        ingress(
            hosts=[HOST], tls=[{"secretName": "tls"}, {"hosts": ["photos.example.com", "https://photos.example.com"]}]
        ),
        ("spec.server.ingress.tls", say.INGRESS_DNS),
    ),
    refused(
        "ingress-path-type-as-list",
        ingress(hosts=[{"paths": [{"pathType": ["Prefix"]}]}]),
        ("spec.server.ingress.hosts[0].paths[0].pathType", say.WRONG_TYPE),
    ),
    refused(
        "ingress-host-as-text", ingress(hosts=["photos.example.com"]), ("spec.server.ingress.hosts[0]", say.WRONG_TYPE)
    ),
    accepted(
        "route",
        server(route={"enabled": True, "host": "p.example.com", "path": "/", "tls": {"termination": "reencrypt"}}),
    ),
    accepted("route-policy-disable", server(route={"tls": {"insecureEdgeTerminationPolicy": "Disable"}})),
    refused(
        "route-termination",
        server(route={"tls": {"termination": "none"}}),
        ("spec.server.route.tls.termination", say.WRONG_CHOICE),
    ),
    refused(
        "route-wildcard",
        server(route={"wildcardPolicy": "All"}),
        ("spec.server.route.wildcardPolicy", say.WRONG_CHOICE),
    ),
    refused(
        "route-policy",
        server(route={"tls": {"insecureEdgeTerminationPolicy": "redirect"}}),
        ("spec.server.route.tls.insecureEdgeTerminationPolicy", say.WRONG_CHOICE),
    ),
]

CONFIGURATION = [
    accepted("metrics", {"immich": {"metrics": {"enabled": True}}}),
    accepted(
        "configuration-of-any-keys",
        {"immich": {"configuration": {"trash": {"days": 30}, "newInImmich4": [1, {"a": None}], "job": {}}}},
    ),
    accepted(
        "configuration-with-secrets",
        {
            "immich": {
                "configuration": {
                    "notifications": {
                        "smtp": {"enabled": True, "transport": {"host": "mail", "passwordSecretRef": PASSWORD}}
                    },
                    "oauth": {"clientId": "immich", "clientSecretRef": PASSWORD, "defaultStorageQuota": None},
                }
            }
        },
    ),
    accepted("configuration-kind-none", {"immich": {"configurationKind": "None"}}),
    accepted("configuration-kind-secret", {"immich": {"configurationKind": "Secret"}}),
    refused(
        "configuration-kind",
        {"immich": {"configurationKind": "configmap"}},
        ("spec.immich.configurationKind", say.WRONG_CHOICE),
    ),
    refused(
        "configuration-as-text",
        {"immich": {"configuration": "trash: {}"}},
        ("spec.immich.configuration", say.WRONG_TYPE),
    ),
    accepted(
        "references-that-a-pass-refuses",
        {
            "immich": {
                "configuration": {
                    "oauth": {"clientSecretRef": {"name": "../s"}},
                    "notifications": {"smtp": {"transport": {"passwordSecretRef": "p"}}},
                }
            }
        },
    ),
    accepted("configuration-as-deep-as-it-may-be", {"immich": {"configuration": nested(LEVELS)}}),
    accepted("configuration-with-lists-in-lists", {"immich": {"configuration": {"new": [[{"a": [], "b": {}}]]}}}),
    refused(
        "configuration-that-is-deeper",
        {"immich": {"configuration": nested(LEVELS + 1)}},
        (f"spec.immich.configuration{'.a' * LEVELS}", "must have at most 0"),
    ),
    refused(
        "configuration-with-lists-that-are-deeper",
        {"immich": {"configuration": {"new": [[[[5]]]]}}},
        ("spec.immich.configuration.new[0][0][0]", "must have at most 0"),
    ),
    refused(
        "several-mistakes-at-once",
        {"server": {"replicas": -1}, "valkey": {"port": -1}, "immich": {"configurationKind": "File"}},
        ("spec.immich.configurationKind", say.WRONG_CHOICE),
        ("spec.server.replicas", "greater than or equal to 0"),
        ("spec.valkey.port", "greater than or equal to 0"),
    ),
]

# As clusters hold them after the Go operator filled in its own defaults.
TAKEN_OVER = [
    accepted("go-operator-minimal", {}),
    accepted(
        "go-operator-full",
        {
            "immich": {
                "configuration": {
                    "storageTemplate": {"enabled": True, "template": "{{y}}/{{y}}-{{MM}}-{{dd}}/{{filename}}"},
                    "trash": {"days": 30, "enabled": True},
                },
                "configurationKind": "ConfigMap",
                "metrics": {"enabled": False},
                "persistence": {"library": {"accessModes": ["ReadWriteOnce"], "size": "100Gi"}},
            },
            "machineLearning": {
                "enabled": True,
                "persistence": {"enabled": True, "size": "10Gi"},
                "replicas": 0,
                "resources": {"limits": {"memory": "4Gi"}, "requests": {"cpu": "100m", "memory": "512Mi"}},
            },
            "postgres": {
                "database": "immich",
                "enabled": True,
                "persistence": {"size": "10Gi"},
                "port": 5432,
                "resources": {},
                "username": "immich",
            },
            "server": {
                "enabled": True,
                "ingress": {
                    "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "0"},
                    "enabled": True,
                    "hosts": [{"host": "immich.example.com", "paths": [{"path": "/", "pathType": "Prefix"}]}],
                    "ingressClassName": "nginx",
                    "tls": [{"hosts": ["immich.example.com"], "secretName": "immich-tls"}],
                },
                "replicas": 0,
                "resources": {"limits": {"memory": "2Gi"}, "requests": {"cpu": "100m", "memory": "256Mi"}},
                "route": {"path": "/", "wildcardPolicy": "None", "tls": {"insecureEdgeTerminationPolicy": "None"}},
            },
            "valkey": {
                "dbIndex": 0,
                "enabled": True,
                "persistence": {"enabled": False, "size": "5Gi"},
                "port": 6379,
                "resources": {"limits": {"memory": "256Mi"}},
            },
        },
    ),
    *(
        accepted(f"go-operator-path-type-{kind}", ingress(hosts=[HOST | {"paths": [{"path": "/", "pathType": kind}]}]))
        for kind in ("prefix", "exact", "Whatever")
    ),
    accepted(
        "go-operator-ports-of-zero",
        {"valkey": {"enabled": False, "host": "redis", "port": 0}, "postgres": EXTERNAL_DATABASE | {"port": 0}},
    ),
    accepted(
        "go-operator-texts-for-numbers",
        {
            "immich": {
                "configuration": {
                    "machineLearning": {
                        "duplicateDetection": {"maxDistance": "0.01"},
                        "facialRecognition": {"minScore": "0.7", "maxDistance": "0.5"},
                    }
                }
            }
        },
    ),
    accepted(
        "go-operator-empty-strings",
        {
            "immich": {"persistence": {"library": {"existingClaim": "", "storageClass": ""}}},
            "server": {
                "image": "",
                "imagePullPolicy": "",
                "ingress": {"ingressClassName": "", "tls": [{"secretName": ""}]},
            },
            "machineLearning": {"url": "", "persistence": {"existingClaim": ""}},
            "valkey": {"host": "", "image": "", "persistence": {"storageClass": "", "accessModes": []}},
            "postgres": {"host": "", "image": "", "database": "", "username": ""},
        },
    ),
]
