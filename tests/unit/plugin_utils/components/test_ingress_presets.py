# SPDX-License-Identifier: Apache-2.0
"""Annotations for large uploads, by the controller of the Ingress' class."""

from __future__ import annotations

import pytest

from ansible_collections.media.immich.plugins.plugin_utils.components.ingress_presets import PRESETS
from support.instances import a_cr, found, notices, plan_for

HOSTS = [{"host": "photos.example.com", "paths": [{"path": "/"}]}]


def a_spec(**settings):
    return a_cr({"server": {"ingress": {"enabled": True, "hosts": HOSTS, "ingressClassName": "web", **settings}}})


def an_answer(controller=None, *, forbidden=False):
    thing = {"metadata": {"name": "web"}, "spec": {"controller": controller}} if controller else None
    return [{"kind": "IngressClass", "namespace": "", "name": "web", "object": thing, "forbidden": forbidden}]


def annotations(plan):
    return found(plan, "Ingress", "photos-server")["metadata"].get("annotations", {})


def test_nginx_takes_files_of_any_size_for_ten_minutes_and_stores_none_of_them():
    plan = plan_for(a_spec(preset="Auto"), looked_up=an_answer("k8s.io/ingress-nginx"))

    assert annotations(plan) == {
        "nginx.ingress.kubernetes.io/proxy-body-size": "0",
        "nginx.ingress.kubernetes.io/proxy-read-timeout": "600",
        "nginx.ingress.kubernetes.io/proxy-send-timeout": "600",
        "nginx.ingress.kubernetes.io/proxy-request-buffering": "off",
    }
    assert notices(plan, "warns") == []


@pytest.mark.parametrize("controller", [key for key in PRESETS if not PRESETS[key].lacks])
def test_each_known_controller_gets_annotations_of_its_own(controller):
    plan = plan_for(a_spec(preset="Auto"), looked_up=an_answer(controller))

    assert annotations(plan)
    assert notices(plan, "warns") == []


def test_a_controller_may_have_a_class_of_its_own_behind_its_name():
    plan = plan_for(a_spec(preset="Auto"), looked_up=an_answer("haproxy.org/ingress-controller/second"))

    assert annotations(plan) == {"haproxy.org/timeout-server": "600s"}


def test_what_needs_the_service_or_a_path_gets_it():
    nginx = plan_for(a_spec(preset="Auto"), looked_up=an_answer("nginx.org/ingress-controller"))
    contour = plan_for(a_spec(preset="Auto"), looked_up=an_answer("projectcontour.io/ingress-controller"))

    assert annotations(nginx)["nginx.org/websocket-services"] == "photos-server"
    assert annotations(contour)["projectcontour.io/websocket-routes"] == "/"


def test_the_users_annotations_win_and_stay():
    own = {"nginx.ingress.kubernetes.io/proxy-body-size": "50g", "cert-manager.io/cluster-issuer": "letsencrypt"}

    plan = plan_for(a_spec(preset="Auto", annotations=own), looked_up=an_answer("k8s.io/ingress-nginx"))

    assert own.items() <= annotations(plan).items()
    assert annotations(plan)["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "600"


def test_without_a_preset_there_is_nothing_but_what_the_user_wrote():
    assert annotations(plan_for(a_spec(), looked_up=an_answer("k8s.io/ingress-nginx"))) == {}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(
            an_answer("traefik.io/ingress-controller"), "respondingTimeouts.readTimeout=0", id="not-per-ingress"
        ),
        pytest.param(
            an_answer("example.com/other"), "the controller example.com/other of IngressClass web", id="unknown"
        ),
        pytest.param(an_answer(), "IngressClass web does not exist", id="missing"),
        pytest.param(an_answer(forbidden=True), "may not read IngressClass web", id="forbidden"),
    ],
)
def test_what_it_can_not_do_is_said(answer, words):
    plan = plan_for(a_spec(preset="Auto"), looked_up=answer)

    [notice] = [notice for notice in plan.notices if notice.reason == "PresetIncomplete"]
    assert words in notice.message
    assert annotations(plan) == {}
