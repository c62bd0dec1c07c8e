# SPDX-License-Identifier: Apache-2.0
"""Labels and annotations of the user's are on all objects and pods, and never in the place of the operator's."""

from __future__ import annotations

import pytest

from support.instances import a_cr, an_instance_at_work, found, notices, plan_for, pod_template, workloads

COMMON = {"commonLabels": {"team": "family"}, "commonAnnotations": {"example.com/owner": "me"}}
EVERYTHING = {
    "server": {"ingress": {"enabled": True, "hosts": [{"host": "photos.example.com", "paths": [{"path": "/"}]}]}},
    "valkey": {"persistence": {"enabled": True}},
}


def metadata_of(plan):
    """{what: metadata} of all objects, templates of pods and templates of claims."""
    result = {}
    for manifest in plan.objects:
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        result[name] = manifest["metadata"]
        if manifest["kind"] in {"Deployment", "StatefulSet"}:
            result[f"{name} pods"] = pod_template(manifest)["metadata"]
        for template in manifest.get("spec", {}).get("volumeClaimTemplates", ()):
            result[f"{name} claims"] = template["metadata"]
    return result


@pytest.mark.parametrize("route", [False, True], ids=["ingress", "route"])
def test_they_are_on_everything_that_is_made(route):
    found_on = metadata_of(plan_for(a_cr({**EVERYTHING, **COMMON}), route=route))

    without_label = [name for name, metadata in found_on.items() if metadata["labels"].get("team") != "family"]
    without = [name for name, m in found_on.items() if m.get("annotations", {}).get("example.com/owner") != "me"]
    assert (without_label, without) == ([], [])
    assert len(found_on) > 15


def test_all_else_stays_as_it_is():
    plain, common = (metadata_of(plan_for(a_cr({**EVERYTHING, **more}))) for more in ({}, COMMON))

    for name, metadata in plain.items():
        assert common[name]["labels"].items() >= metadata["labels"].items(), name
        assert common[name].get("annotations", {}).items() >= metadata.get("annotations", {}).items(), name


def test_selectors_do_not_know_of_them():
    for one, other in zip(workloads(plan_for(a_cr(COMMON))), workloads(plan_for(a_cr())), strict=True):
        assert one["spec"]["selector"] == other["spec"]["selector"]


def test_labels_of_one_component_win():
    cr = a_cr({**COMMON, "server": {"podLabels": {"team": "photos"}, "podAnnotations": {"example.com/owner": "you"}}})

    metadata = pod_template(found(plan_for(cr), "Deployment", "photos-server"))["metadata"]

    assert (metadata["labels"]["team"], metadata["annotations"]["example.com/owner"]) == ("photos", "you")


def test_the_template_of_a_live_database_is_left_alone():
    at_work = an_instance_at_work(a_cr())

    plan = plan_for(a_cr(COMMON), at_work)

    [template] = found(plan, "StatefulSet", "photos-postgres")["spec"]["volumeClaimTemplates"]
    assert "team" not in template["metadata"]["labels"]


def test_what_is_the_operators_own_has_no_effect_and_is_told():
    spec = {
        "commonLabels": {"app.kubernetes.io/instance": "else"},
        "commonAnnotations": {"media.rm3l.org/pgdata": "elsewhere"},
    }

    plan = plan_for(a_cr(spec))

    assert notices(plan, "warns") == 2 * [("server", "SettingIgnored")]
    for name, metadata in metadata_of(plan).items():
        assert metadata["labels"]["app.kubernetes.io/instance"] == "photos", name
        assert metadata.get("annotations", {}).get("media.rm3l.org/pgdata") in (None, "pgdata"), name
