# SPDX-License-Identifier: Apache-2.0
"""Taking an instance away keeps its data."""

import pytest

from ansible_collections.media.immich.plugins.filter.removal import removal as removal_filter
from ansible_collections.media.immich.plugins.plugin_utils.kube.values import structure, text
from ansible_collections.media.immich.plugins.plugin_utils.passes.removal import removal
from ansible_collections.media.immich.plugins.plugin_utils.spec import names
from support.instances import a_claim, a_config_map, a_cr, a_secret, an_instance_at_work, seen_with

KEPT = [
    "PersistentVolumeClaim data-photos-postgres-0",
    "PersistentVolumeClaim photos-library",
    "Secret photos-postgres-credentials",
]


OTHER = {"apiVersion": "apps/v1", "kind": "Other", "name": "o", "uid": "other", "controller": True}


def removed(result):
    return [(step["target"]["kind"], step["target"]["name"]) for step in result["steps"]]


def test_everything_but_the_data_is_removed():
    cr = a_cr({"valkey": {"persistence": {"enabled": True}}})
    live = an_instance_at_work(cr, route=True)

    result = removal(a_cr(), seen=seen_with(cr, live, route=True))

    assert result["kept"] == KEPT
    names = {(m["kind"], m["metadata"]["name"]) for m in live} - {tuple(entry.split()) for entry in KEPT}
    assert set(removed(result)) == {("Immich", "photos"), *names}
    assert {step["verb"] for step in result["steps"]} == {"delete"}


def test_the_custom_resource_goes_first_so_that_no_operator_brings_the_rest_back():
    result = removal(a_cr(), seen=seen_with(a_cr(), an_instance_at_work(a_cr())))

    first, *rest = result["steps"]
    assert first["target"]["kind"] == "Immich"
    assert all(step["stage"] > first["stage"] for step in rest)


def test_nothing_is_removed_while_it_is_not_known_what_there_is():
    result = removal(a_cr(), seen={"problem": "no answer", "cr": a_cr()})

    assert result == {"state": "unread", "steps": [], "notices": [], "kept": []}


def test_every_removal_is_for_the_very_object_that_was_seen():
    result = removal(a_cr(), seen=seen_with(a_cr(), an_instance_at_work(a_cr())))

    assert all(step["target"]["uid"] for step in result["steps"])


def test_what_stays_loses_an_owner_that_goes_before_that_goes():
    owner = {"apiVersion": "media.rm3l.org/v1alpha1", "kind": "Immich", "name": "photos", "uid": "u"}
    live = an_instance_at_work(a_cr())
    [secret] = [item for item in live if item["metadata"]["name"] == "photos-postgres-credentials"]
    secret["metadata"]["ownerReferences"] = [owner]

    first, *rest = removal(a_cr(), seen=seen_with(a_cr(), live))["steps"]

    assert (first["verb"], first["target"]["name"]) == ("merge", "photos-postgres-credentials")
    assert first["patch"]["metadata"]["ownerReferences"] is None
    assert all(step["after"] == [first["component"]] for step in rest), "none goes if that was refused"


def test_without_a_custom_resource_the_rest_is_removed_all_the_same():
    seen = {**seen_with(a_cr(), an_instance_at_work(a_cr())), "cr": None}

    result = removal(a_cr(), seen=seen)

    assert ("Immich", "photos") not in removed(result)
    assert ("Deployment", "photos-server") in removed(result)


def test_data_without_our_labels_is_reported_as_kept_too():
    seen = seen_with(a_cr(), [a_claim("photos-library")])
    seen["objects"] = []

    assert removal(a_cr(), seen=seen)["kept"] == ["PersistentVolumeClaim photos-library"]


def test_claims_of_the_users_own_are_not_touched():
    cr = a_cr({"immich": {"persistence": {"library": {"existingClaim": "nas"}}}})
    seen = seen_with(cr, [a_claim("nas")])
    seen["objects"] = []  # it has no labels of ours, so it comes as a reference only

    assert removed(removal(a_cr(), seen=seen)) == [("Immich", "photos")]


def test_objects_that_somebody_else_controls_are_not_touched():
    live = an_instance_at_work(a_cr())
    for manifest in live:
        if (manifest["kind"], manifest["metadata"]["name"]) == ("ConfigMap", "photos-immich-config"):
            manifest["metadata"]["ownerReferences"] = [
                {"kind": "Other", "name": "o", "uid": "other", "controller": True}
            ]

    result = removal(a_cr(), seen=seen_with(a_cr(), live))

    assert ("ConfigMap", "photos-immich-config") not in removed(result)


def test_what_another_kind_has_made_for_a_resource_of_the_same_name_is_not_touched():
    labels = {"app.kubernetes.io/instance": "photos", "app.kubernetes.io/managed-by": "immich-operator"}
    box = a_config_map("photos-immich-config", colour="red")
    box["metadata"] |= {"labels": labels, "uid": "u"}

    for there in (a_cr(), None):
        result = removal(a_cr(), seen={**seen_with(a_cr(), [box]), "cr": there})

        assert ("ConfigMap", "photos-immich-config") not in removed(result)
        assert result["kept"] == []


def test_what_only_looks_like_an_object_of_the_instance_is_kept_and_told():
    live = an_instance_at_work(a_cr())
    for manifest in live:
        if (manifest["kind"], manifest["metadata"]["name"]) == ("Service", "photos-valkey"):
            manifest["metadata"].pop("ownerReferences")

    result = removal(a_cr(), seen=seen_with(a_cr(), live))

    assert ("Service", "photos-valkey") not in removed(result)
    assert result["kept"] == sorted([*KEPT, "Service photos-valkey"])


def test_where_nothing_was_stored_that_could_own_objects_they_go_by_their_labels():
    cr = a_cr(uid=None)
    seen = {**seen_with(cr, an_instance_at_work(cr)), "cr": None}

    result = removal(cr, seen=seen)

    assert ("Deployment", "photos-server") in removed(result)
    assert result["kept"] == KEPT


def test_it_is_the_stored_resource_that_has_to_own_them_whatever_a_file_says():
    live = an_instance_at_work(a_cr(uid=None))

    result = removal(a_cr(uid=None), seen=seen_with(a_cr(), live))

    assert removed(result) == [("Immich", "photos")]
    assert "Deployment photos-server" in result["kept"]


@pytest.mark.parametrize(
    ("controller", "goes"), [pytest.param([], True, id="nobody-else"), pytest.param([OTHER], False, id="another")]
)
def test_what_an_earlier_resource_of_that_name_has_left_goes_too_unless_somebody_else_has_it_now(controller, goes):
    live = an_instance_at_work(a_cr())
    for manifest in live:
        if owners := manifest["metadata"].get("ownerReferences"):
            owners[0] |= {"uid": "of-the-one-before", "controller": not controller}
            owners += controller

    assert (("Deployment", "photos-server") in removed(removal(a_cr(), seen=seen_with(a_cr(), live)))) is goes


def test_the_data_stays_even_if_a_runtime_has_made_the_resource_its_owner_and_it_is_not_among_the_references():
    live = an_instance_at_work(a_cr())
    [owners] = [m["metadata"]["ownerReferences"] for m in live if m["metadata"]["name"] == "photos-immich-config"]
    for manifest in live:
        manifest["metadata"]["ownerReferences"] = owners
    seen = {**seen_with(a_cr(), live), "references": []}

    result = removal(a_cr(), seen=seen)

    assert not {tuple(entry.split()) for entry in KEPT} & {
        (step["target"]["kind"], step["target"]["name"]) for step in result["steps"] if step["verb"] == "delete"
    }
    assert result["kept"] == KEPT


def test_of_what_the_resource_names_only_claims_are_told_as_kept_and_of_the_rest_those_with_its_labels():
    cr = a_cr({"server": {"envFrom": [{"secretRef": {"name": "keys"}}]}})
    copy = a_claim("photos-library-copy", labels={"app.kubernetes.io/instance": "photos"})

    result = removal(cr, seen=seen_with(cr, [a_secret("keys"), copy]))

    assert result["kept"] == ["PersistentVolumeClaim photos-library-copy"]


def test_only_the_removal_of_the_resource_waits_in_a_play_until_the_data_has_no_owner():
    steps = removal(a_cr(), seen=seen_with(a_cr(), an_instance_at_work(a_cr())))["steps"]

    assert [(step["target"]["kind"], step["needs"]) for step in steps if step.get("needs")] == [("Immich", ["kept"])]


def test_nothing_there_nothing_to_do():
    seen = {**seen_with(a_cr()), "cr": None}

    assert removal(a_cr(), seen=seen) == {"state": "deleting", "steps": [], "notices": [], "kept": []}


def test_the_filter_gives_the_same_as_a_text():
    seen = seen_with(a_cr(), an_instance_at_work(a_cr()))

    told = removal_filter(text({"given": a_cr(), **seen}))

    assert structure(told) == {"plan": removal(a_cr(), seen=seen)}


def test_a_claim_of_the_users_stays_even_when_it_carries_the_instances_labels():
    """A copy of a claim, made to move the library to another class, has the labels of the original."""
    cr = a_cr({"immich": {"persistence": {"library": {"existingClaim": "photos-library-big"}}}})
    labels = {"app.kubernetes.io/instance": "photos", "app.kubernetes.io/managed-by": "immich-operator"}
    copy = a_claim("photos-library-big", labels={**labels, "app.kubernetes.io/component": "library"})
    cache = a_cr({"machineLearning": {"persistence": {"existingClaim": "photos-ml-cache"}}}, uid=None)

    result = removal(a_cr(), seen=seen_with(cr, [*an_instance_at_work(cr), copy]))
    all_five = names.labels("photos", "machine-learning")
    with_cache = removal(cache, seen=seen_with(cache, [a_claim("photos-ml-cache", labels=all_five)]))

    assert ("PersistentVolumeClaim", "photos-library-big") not in removed(result)
    assert "PersistentVolumeClaim photos-library-big" in result["kept"]
    assert ("PersistentVolumeClaim", "photos-ml-cache") not in removed(with_cache)
