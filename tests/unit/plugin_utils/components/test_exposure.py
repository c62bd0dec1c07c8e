# SPDX-License-Identifier: Apache-2.0
"""Ingress, Route, and the address in the status."""

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.exposure import unserved, url
from support.instances import (
    a_cr,
    a_secret,
    an_instance_at_work,
    condition,
    deletions,
    environment,
    found,
    has,
    notices,
    plan_for,
    report_for,
)

HOSTS = [{"host": "photos.example.com", "paths": [{"path": "/"}]}]


def with_ingress(**settings):
    return {"server": {"ingress": {"enabled": True, "hosts": HOSTS, **settings}}}


TOKEN = "/.well-known/acme-challenge/abc"


def a_challenge(path=TOKEN, service="cm-acme-http-solver-x"):
    """A path as cert-manager's solver adds it."""
    backend = {"service": {"name": service, "port": {"number": 8089}}}
    return {"path": path, "pathType": "ImplementationSpecific", "backend": backend}


def steps_beside(rules, spec=None):
    """The Ingresses that are applied while the live one has these rules."""
    made = an_instance_at_work(a_cr(with_ingress()))
    objects = [{**m, "spec": {**m["spec"], "rules": rules}} if m["kind"] == "Ingress" else m for m in made]
    plan = plan_for(a_cr(spec or with_ingress()), objects)
    return [manifest for manifest in plan.objects if manifest["kind"] == "Ingress"]


OUR_BACKEND = {"service": {"name": "photos-server", "port": {"name": "http"}}}
OUR_PATH = {"path": "/", "pathType": "Prefix", "backend": OUR_BACKEND}
HOST = "photos.example.com"


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param([{"host": HOST, "http": {"paths": [a_challenge(), OUR_PATH]}}], id="before-ours"),
        pytest.param([{"host": HOST, "http": {"paths": [OUR_PATH, a_challenge()]}}], id="after-ours"),
        pytest.param(
            [
                {"host": HOST, "http": {"paths": [OUR_PATH]}},
                {"host": "www.example.com", "http": {"paths": [a_challenge()]}},
            ],
            id="another-host-of-the-certificate",
        ),
    ],
)
def test_a_path_of_a_challenge_stays_and_nothing_is_written_because_of_it(rules):
    assert steps_beside(rules) == []


def test_a_change_is_made_around_the_path_of_a_challenge():
    rules = [{"host": HOST, "http": {"paths": [a_challenge(), OUR_PATH]}}]

    [ingress] = steps_beside(rules, with_ingress(hosts=[{"host": HOST, "paths": [{"path": "/"}, {"path": "/api"}]}]))

    [rule] = ingress["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == [TOKEN, "/", "/api"]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(a_challenge(path="/admin"), id="another-path"),
        pytest.param(a_challenge(service="photos-server"), id="a-former-path-of-ours"),
    ],
)
def test_any_other_path_that_is_not_in_the_spec_goes(path):
    [ingress] = steps_beside([{"host": HOST, "http": {"paths": [path, OUR_PATH]}}])

    assert ingress["spec"]["rules"] == [{"host": HOST, "http": {"paths": [OUR_PATH]}}]


def with_route(**settings):
    return {"server": {"route": settings}}


def test_an_ingress_leads_every_path_to_the_port_of_the_server():
    hosts = [
        {"host": "photos.example.com", "paths": [{"path": "/"}, {"path": "/api", "pathType": "Exact"}]},
        {"host": "bilder.example.com", "paths": [{}]},
    ]
    tls = [{"hosts": ["photos.example.com"], "secretName": "cert"}]
    settings = {"ingressClassName": "nginx", "annotations": {"size": "0"}, "hosts": hosts, "tls": tls}

    ingress = found(plan_for(a_cr(with_ingress(**settings))), "Ingress", "photos-server")

    backend = {"service": {"name": "photos-server", "port": {"name": "http"}}}
    assert ingress["metadata"]["annotations"] == {"size": "0"}
    assert ingress["spec"] == {
        "ingressClassName": "nginx",
        "rules": [
            {
                "host": "photos.example.com",
                "http": {
                    "paths": [
                        {"path": "/", "pathType": "Prefix", "backend": backend},
                        {"path": "/api", "pathType": "Exact", "backend": backend},
                    ]
                },
            },
            {
                "host": "bilder.example.com",
                "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
            },
        ],
        "tls": tls,
    }


@pytest.mark.parametrize(
    ("given", "made", "warnings"),
    [
        pytest.param("ImplementationSpecific", "ImplementationSpecific", [], id="known"),
        pytest.param("prefix", "Prefix", [], id="lower-case"),
        pytest.param("", "Prefix", [], id="empty"),
        pytest.param("exact", "Prefix", [("server", "SettingIgnored")], id="not-what-it-looks-like"),
        pytest.param("Whatever", "Prefix", [("server", "SettingIgnored")], id="unknown"),
    ],
)
def test_the_way_a_path_is_compared_is_what_it_was_to_the_operator_written_in_go(given, made, warnings):
    hosts = [{"host": "photos.example.com", "paths": [{"path": "/", "pathType": given}]}]

    plan = plan_for(a_cr(with_ingress(hosts=hosts)))

    [path] = found(plan, "Ingress", "photos-server")["spec"]["rules"][0]["http"]["paths"]
    assert path["pathType"] == made
    assert notices(plan, "warns") == warnings


def test_a_port_of_zero_is_the_usual_one():
    spec = {
        "valkey": {"enabled": False, "host": "redis", "port": 0},
        "postgres": {"enabled": False, "host": "db", "port": 0, "passwordSecretRef": {"name": "db", "key": "word"}},
    }

    variables = environment(found(plan_for(a_cr(spec), [a_secret("db", word="x")]), "Deployment", "photos-server"))

    assert (variables["REDIS_PORT"], variables["DB_PORT"]) == ("6379", "5432")


def test_what_is_not_set_is_not_in_the_ingress():
    ingress = found(plan_for(a_cr(with_ingress())), "Ingress", "photos-server")

    assert set(ingress["spec"]) == {"rules"}
    assert "annotations" not in ingress["metadata"]


@pytest.mark.parametrize(
    ("spec", "has_api", "made", "warned"),
    [
        pytest.param({}, True, True, [], id="by-default-where-its-api-exists"),
        pytest.param({}, False, False, [], id="not-elsewhere"),
        pytest.param(with_route(enabled=True), True, True, [], id="asked-for"),
        pytest.param(with_route(enabled=True), False, False, [("server", "RouteUnavailable")], id="asked-for-in-vain"),
        pytest.param(with_route(enabled=False), True, False, [], id="not-wanted"),
        pytest.param({"server": {"enabled": False, "route": {"enabled": True}}}, False, False, [], id="no-server"),
        pytest.param({"server": {"enabled": False}}, True, False, [], id="no-server-no-route"),
    ],
)
def test_a_route_is_made_where_its_api_exists(spec, has_api, made, warned):
    plan = plan_for(a_cr(spec), route=has_api)

    assert has(plan, "Route", "photos-server") is made
    assert notices(plan, "warns") == warned
    assert notices(plan, "blocks") == []


def test_a_route_in_vain_leaves_the_instance_ready():
    cr = a_cr(with_route(enabled=True))

    assert report_for(cr, an_instance_at_work(cr))["status"]["ready"] is True


def test_a_default_route_ends_tls_at_the_edge_and_redirects():
    route = found(plan_for(a_cr(), route=True), "Route", "photos-server")

    assert route["spec"] == {
        "to": {"kind": "Service", "name": "photos-server", "weight": 100},
        "port": {"targetPort": "http"},
        "wildcardPolicy": "None",
        "tls": {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"},
    }


def test_a_route_takes_every_setting():
    tls = {
        "termination": "reencrypt",
        "insecureEdgeTerminationPolicy": "Allow",
        "certificate": "c",
        "key": "k",
        "caCertificate": "ca",
        "destinationCACertificate": "d",
    }
    settings = {
        "host": "photos.apps.example.com",
        "path": "/immich",
        "wildcardPolicy": "None",
        "annotations": {"timeout": "600s"},
        "labels": {"shard": "public", "app.kubernetes.io/instance": "hijacked"},
        "tls": tls,
    }

    route = found(plan_for(a_cr(with_route(**settings)), route=True), "Route", "photos-server")

    assert {key: route["spec"][key] for key in ("host", "path", "wildcardPolicy", "tls")} == {
        key: settings[key] for key in ("host", "path", "wildcardPolicy", "tls")
    }
    assert route["metadata"]["annotations"] == {"timeout": "600s"}
    assert route["metadata"]["labels"]["shard"] == "public"
    assert route["metadata"]["labels"]["app.kubernetes.io/instance"] == "photos"


def test_a_route_that_refuses_plain_http_says_so_in_the_words_of_the_route_api():
    cr = a_cr(with_route(tls={"insecureEdgeTerminationPolicy": "Disable"}))

    route = found(plan_for(cr, route=True), "Route", "photos-server")

    assert route["spec"]["tls"] == {"termination": "edge", "insecureEdgeTerminationPolicy": "None"}


def test_a_route_whose_api_is_there_again_is_made_again():
    live = an_instance_at_work(a_cr())

    assert has(plan_for(a_cr(), live, route=True), "Route", "photos-server")
    assert deletions(plan_for(a_cr(), live, route=True)) == []


def a_route(host=None, *, status=None, path=None, tls=True, routers=()):
    spec = {"host": host, "path": path, "tls": {"termination": "edge"} if tls else None}
    answers = [{"conditions": [{"type": "Admitted", **router}]} for router in routers]
    return {
        "kind": "Route",
        "metadata": {"name": "photos-server"},
        "spec": spec,
        "status": {"ingress": [*([{"host": status}] if status else []), *answers]},
    }


SERVED = ({"ip": "192.0.2.1"},)
MADE, MADE_AT = 1_800_000_000.0, "2027-01-15T08:00:00Z"


def an_ingress(*hosts, tls=(), addresses=SERVED, **fields):
    annotations = fields.pop("annotations", {})
    return {
        "kind": "Ingress",
        "metadata": {"name": "photos-server", "creationTimestamp": MADE_AT, "annotations": annotations},
        "spec": {"rules": [{"host": host} if host else {} for host in hosts], "tls": list(tls), **fields},
        "status": {"loadBalancer": {"ingress": list(addresses)}},
    }


REFUSED = {"status": "False", "reason": "HostAlreadyClaimed", "message": "route other already exposes photos.apps"}


CERT = {"secretName": "cert"}


@pytest.mark.parametrize(
    ("route", "ingress", "expected"),
    [
        pytest.param(None, None, "", id="nothing"),
        pytest.param(a_route("photos.apps"), an_ingress("photos.example.com"), "https://photos.apps", id="route-first"),
        pytest.param(a_route("photos.apps", tls=False), None, "http://photos.apps", id="route-without-tls"),
        pytest.param(a_route("photos.apps", path="/immich"), None, "https://photos.apps/immich", id="route-with-path"),
        pytest.param(a_route("photos.apps", path="/"), None, "https://photos.apps", id="route-with-root-path"),
        pytest.param(a_route(status="given.apps"), None, "https://given.apps", id="route-host-given-by-the-router"),
        pytest.param(
            a_route(), an_ingress("photos.example.com"), "http://photos.example.com", id="route-without-host-yet"
        ),
        pytest.param(a_route("photos.apps", routers=[REFUSED]), None, "", id="route-refused-by-its-router"),
        pytest.param(
            a_route("photos.apps", routers=[REFUSED, {"status": "True"}]),
            None,
            "https://photos.apps",
            id="route-refused-by-one-of-two-routers",
        ),
        pytest.param(None, an_ingress("a.example.com", addresses=()), "", id="served-by-nobody"),
        pytest.param(None, an_ingress("a.example.com", "b.example.com"), "http://a.example.com", id="first-host"),
        pytest.param(None, an_ingress(None, "b.example.com"), "http://b.example.com", id="first-rule-with-a-host"),
        pytest.param(
            None, an_ingress("*.example.com", "b.example.com"), "http://b.example.com", id="a-wildcard-is-no-address"
        ),
        pytest.param(
            None,
            an_ingress("a.example.com", tls=[{"hosts": ["a.example.com"], **CERT}]),
            "https://a.example.com",
            id="tls-by-name",
        ),
        pytest.param(
            None,
            an_ingress("a.example.com", tls=[{"hosts": ["*.example.com"], **CERT}]),
            "https://a.example.com",
            id="tls-by-wildcard",
        ),
        pytest.param(
            None,
            an_ingress("a.b.example.com", tls=[{"hosts": ["*.example.com"], **CERT}]),
            "http://a.b.example.com",
            id="a-wildcard-covers-one-label-only",
        ),
        pytest.param(
            None,
            an_ingress("example.com", tls=[{"hosts": ["*.example.com"], **CERT}]),
            "http://example.com",
            id="nor-the-domain-itself",
        ),
        pytest.param(None, an_ingress("a.example.com", tls=[CERT]), "https://a.example.com", id="tls-for-all-hosts"),
        pytest.param(
            None,
            an_ingress("a.example.com", tls=[{"hosts": ["b.example.com"], **CERT}]),
            "http://a.example.com",
            id="tls-for-another",
        ),
        pytest.param(None, an_ingress(None, addresses=[{"ip": "192.0.2.7"}]), "http://192.0.2.7", id="load-balancer"),
        pytest.param(
            None,
            an_ingress(None, addresses=[{"hostname": "lb.example.com", "ip": "192.0.2.7"}]),
            "http://lb.example.com",
            id="load-balancer-by-name",
        ),
        pytest.param(
            None, an_ingress(None, addresses=[{"ip": "2001:db8::7"}]), "http://[2001:db8::7]", id="load-balancer-ipv6"
        ),
        pytest.param(
            None,
            an_ingress(None, tls=[CERT], addresses=[{"ip": "2001:db8::7"}]),
            "https://[2001:db8::7]",
            id="load-balancer-with-tls",
        ),
        pytest.param(None, an_ingress(None, addresses=[{}]), "", id="load-balancer-without-address-yet"),
    ],
)
def test_the_address_is_the_best_one_there_is(route, ingress, expected):
    assert url(route, ingress) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(with_ingress(), "http://photos.example.com", id="ingress"),
        pytest.param({}, "", id="none"),
        pytest.param({"server": {"enabled": False, **with_ingress()["server"]}}, "", id="switched-off"),
    ],
)
def test_the_status_shows_the_address(spec, expected):
    live = with_exposed(an_ingress("photos.example.com")) if spec else an_instance_at_work(a_cr())

    assert report_for(a_cr(spec), live)["status"]["url"] == expected


def with_exposed(ingress):
    """An instance at work whose Ingress has the metadata, the class and the status of this one."""
    made = an_instance_at_work(a_cr(with_ingress()))
    return [
        {
            **one,
            "metadata": {**one["metadata"], **ingress["metadata"]},
            "spec": {
                **one["spec"],
                **{key: ingress["spec"][key] for key in ingress["spec"] if key == "ingressClassName"},
            },
            "status": ingress["status"],
        }
        if one["kind"] == "Ingress"
        else one
        for one in made
    ]


@pytest.mark.parametrize(
    ("ingress", "after_s", "told", "again"),
    [
        pytest.param(
            an_ingress("photos.example.com", addresses=()),
            1,
            "Ingress photos-server is served by nobody: it names no class, and the cluster had no default one when it was "
            "made; set spec.server.ingress.ingressClassName",
            None,
            id="no-class",
        ),
        pytest.param(
            an_ingress("photos.example.com", addresses=(), ingressClassName="nginx"), 20, "", "40s", id="being-served"
        ),
        pytest.param(
            an_ingress("photos.example.com", addresses=(), ingressClassName="nginx"),
            61,
            "Ingress photos-server has no address: the controller of the class nginx has given it none",
            None,
            id="no-address",
        ),
        pytest.param(
            an_ingress("photos.example.com", addresses=(), annotations={"kubernetes.io/ingress.class": "traefik"}),
            61,
            "the controller of the class traefik",
            None,
            id="class-by-annotation",
        ),
        pytest.param(an_ingress("photos.example.com"), 61, "", None, id="served"),
    ],
)
def test_an_ingress_that_nobody_serves_is_a_warning_that_leaves_the_instance_ready(ingress, after_s, told, again):
    result = report_for(a_cr(with_ingress()), with_exposed(ingress), now=MADE + after_s)

    warning = condition(result, "Warning")
    assert (warning["status"], warning["reason"]) == (("True", "NotServed") if told else ("False", "NoWarnings"))
    assert told in warning["message"]
    assert result["status"]["url"] == ("" if told or again else "http://photos.example.com")
    assert (result["status"]["ready"], result["requeue_after"]) == (True, again)


def test_what_a_router_says_against_a_route_is_told():
    [(message, begins)] = unserved(a_route("photos.apps", routers=[REFUSED]), None)

    assert message == (
        "Route photos-server is refused by its router: HostAlreadyClaimed: route other already exposes photos.apps; change "
        "spec.server.route as it says"
    )
    assert begins == 0.0
