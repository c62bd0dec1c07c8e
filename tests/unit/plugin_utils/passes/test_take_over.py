# SPDX-License-Identifier: Apache-2.0
"""Live instances made by the operator written in Go go on in place: same selectors, same volumes, same password."""

import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.components.images import DEFAULT_IMAGES
from ansible_collections.media.immich.plugins.plugin_utils.passes.planning import plan
from ansible_collections.media.immich.plugins.plugin_utils.spec.crd import complete, documents
from ansible_collections.media.immich.plugins.plugin_utils.spec.names import KEEP_ANNOTATIONS
from support.instances import (
    PASSWORD,
    annotated,
    as_live,
    container,
    deletions,
    environment,
    found,
    seen_with,
    workloads,
)

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
OWNER = "00000000-1111-2222-3333-444444444444"


def an_instance(size):
    """(custom resource, objects) as a cluster returned them; uids, which the files leave out, are filled in."""
    text = (FIXTURES / f"instance-made-by-the-go-operator-{size}.yaml").read_text(encoding="utf-8")
    cr, *objects = documents(text.replace("OWNER-UID", OWNER))
    cr["metadata"] |= {"uid": OWNER, "generation": 2, "resourceVersion": "1"}
    for index, manifest in enumerate(objects):
        manifest["metadata"]["uid"] = f"uid-{index}"
        if manifest["kind"] == "PersistentVolumeClaim":
            manifest["status"] = {"phase": "Bound"}
    full, problems = complete(cr)
    assert problems == []
    return full, objects


def live(objects, kind, name):
    [manifest] = [m for m in objects if (m["kind"], m["metadata"]["name"]) == (kind, name)]
    return manifest


@pytest.fixture(params=["minimal", "full"])
def taken_over(request):
    """(plan, objects before)"""
    cr, objects = an_instance(request.param)
    return plan(cr, seen=seen_with(cr, objects), images=DEFAULT_IMAGES, new_password=PASSWORD), objects


def test_nothing_holds_a_take_over_back(taken_over):
    result, _ = taken_over

    assert result.notices == []


def test_every_object_keeps_its_name_and_none_is_removed(taken_over):
    result, objects = taken_over
    before = {(m["kind"], m["metadata"]["name"]) for m in objects}
    kept = {("Secret", "photos-postgres-credentials"), ("PersistentVolumeClaim", "data-photos-postgres-0")}

    assert deletions(result) == []
    new = {("Secret", "photos-checksum-key")}
    assert {(m["kind"], m["metadata"]["name"]) for m in result.objects} == before - kept | new


def test_selectors_are_not_touched(taken_over):
    result, objects = taken_over

    for manifest in result.objects:
        if manifest["kind"] in {"Deployment", "StatefulSet", "Service"}:
            before = live(objects, manifest["kind"], manifest["metadata"]["name"])
            assert manifest["spec"]["selector"] == before["spec"]["selector"], manifest["metadata"]["name"]


def test_services_keep_their_ports(taken_over):
    result, objects = taken_over

    for manifest in result.objects:
        if manifest["kind"] == "Service":
            assert manifest["spec"]["ports"] == live(objects, "Service", manifest["metadata"]["name"])["spec"]["ports"]


def test_volumes_are_not_touched(taken_over):
    result, objects = taken_over

    for manifest in result.objects:
        if manifest["kind"] == "PersistentVolumeClaim":
            before = live(objects, "PersistentVolumeClaim", manifest["metadata"]["name"])
            assert manifest["spec"].items() <= before["spec"].items()
            assert manifest["metadata"].get("ownerReferences") == before["metadata"].get("ownerReferences")
    patches = [step["patch"] for step in result.steps if step.get("target", {}).get("kind") == "PersistentVolumeClaim"]
    assert [{**patch["metadata"], "uid": None} for patch in patches] == [{"uid": None, "annotations": KEEP_ANNOTATIONS}]


def test_pods_mount_the_same_claims(taken_over):
    result, objects = taken_over

    def claims(manifest):
        volumes = manifest["spec"]["template"]["spec"].get("volumes", ())
        return {v["name"]: v["persistentVolumeClaim"] for v in volumes if "persistentVolumeClaim" in v}

    def mounts(manifest):
        [container] = manifest["spec"]["template"]["spec"]["containers"]
        return {mount["name"]: mount["mountPath"] for mount in container.get("volumeMounts", ())}

    for manifest in workloads(result):
        before = live(objects, manifest["kind"], manifest["metadata"]["name"])
        assert claims(manifest) == claims(before)
        assert mounts(manifest).items() >= mounts(before).items()


def test_the_claim_template_of_the_database_stays_as_it_is(taken_over):
    result, objects = taken_over

    [after] = found(result, "StatefulSet", "photos-postgres")["spec"]["volumeClaimTemplates"]
    [before] = live(objects, "StatefulSet", "photos-postgres")["spec"]["volumeClaimTemplates"]

    assert after["metadata"] == before["metadata"]
    filled_in_by_the_api_server = {"volumeMode": "Filesystem"}
    assert {**after["spec"], **filled_in_by_the_api_server} == before["spec"]


def test_the_database_keeps_its_image_because_a_newer_major_version_can_not_read_its_data(taken_over):
    result, objects = taken_over

    before, after = live(objects, "StatefulSet", "photos-postgres"), found(result, "StatefulSet", "photos-postgres")

    assert container(after)["image"] == container(before)["image"]


def test_the_database_is_looked_for_where_it_is(taken_over):
    result, _ = taken_over

    environment_after = environment(found(result, "StatefulSet", "photos-postgres"))
    assert environment_after["PGDATA"] == "/var/lib/postgresql/data", "whatever the image has for it"


def test_the_password_stays(taken_over):
    result, _ = taken_over

    made = [step["object"]["metadata"]["name"] for step in result.steps if step["verb"] == "create"]
    assert made == ["photos-checksum-key"]
    assert (
        environment(found(result, "StatefulSet", "photos-postgres"))["POSTGRES_PASSWORD"]
        == "photos-postgres-credentials/password"
    )
    assert (
        environment(found(result, "Deployment", "photos-server"))["DB_PASSWORD"]
        == "photos-postgres-credentials/password"
    )


def test_the_server_finds_database_and_queues_as_before(taken_over):
    result, objects = taken_over

    before = environment(live(objects, "Deployment", "photos-server"))
    after = environment(found(result, "Deployment", "photos-server"))

    assert before.items() <= after.items()


def test_only_deployments_that_were_rolling_get_a_switch_of_strategy(taken_over):
    result, _ = taken_over

    switched = [
        s["target"]["name"] for s in result.steps if s["verb"] == "merge" and s["target"]["kind"] == "Deployment"
    ]

    assert sorted(switched) == ["photos-machine-learning", "photos-server"]


def test_the_finalizer_of_the_go_operator_is_taken_off(taken_over):
    result, _ = taken_over

    [patch] = [step["patch"] for step in result.steps if step.get("target", {}).get("kind") == "Immich"]

    assert patch == {"metadata": {"finalizers": [], "resourceVersion": "1"}}


def test_a_setting_that_the_go_operator_wrote_in_lower_case_is_written_as_immich_reads_it():
    cr, objects = an_instance("full")
    assert "storagetemplate:" in live(objects, "ConfigMap", "photos-immich-config")["data"]["immich-config.yaml"]

    result = plan(cr, seen=seen_with(cr, objects), images=DEFAULT_IMAGES, new_password=PASSWORD)

    text = found(result, "ConfigMap", "photos-immich-config")["data"]["immich-config.yaml"]
    assert yaml.safe_load(text)["storageTemplate"] == {
        "enabled": True,
        "template": "{{y}}/{{y}}-{{MM}}-{{dd}}/{{filename}}",
    }


def test_the_second_pass_asks_for_the_same(taken_over):
    result, objects = taken_over
    patched = {step["target"]["name"] for step in result.steps if step["verb"] == "merge"}
    uids = {(m["kind"], m["metadata"]["name"]): m["metadata"]["uid"] for m in objects}
    untouched = [
        annotated(m, KEEP_ANNOTATIONS) if m["metadata"]["name"] in patched else m
        for m in objects
        if (m["kind"], m["metadata"]["name"]) not in {(o["kind"], o["metadata"]["name"]) for o in result.objects}
    ]
    applied = [
        {**m, "metadata": {**m["metadata"], "uid": uids.get((m["kind"], m["metadata"]["name"]), "uid-of-a-new-one")}}
        for m in result.objects
    ]
    cr = {**result.cr, "metadata": {**result.cr["metadata"], "finalizers": []}}

    again = plan(cr, seen=seen_with(cr, [*applied, *untouched]), images=DEFAULT_IMAGES, new_password="another")

    once = [step["object"] for step in result.steps if step["verb"] == "create"]
    assert again.objects == [manifest for manifest in result.objects if manifest not in once]
    assert {step["verb"] for step in again.steps} == {"apply"}


def run_of(objects, image):
    """The live objects with another image of Valkey, and the custom resource's spec for it."""
    for manifest in objects:
        if (manifest["kind"], manifest["metadata"]["name"]) == ("Deployment", "photos-valkey"):
            manifest["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return {"image": image}


@pytest.mark.parametrize(
    ("image", "more", "keeps"),
    [
        ("bitnami/valkey:8", {}, True),
        ("registry.example.com/team/cache@sha256:abc", {}, True),
        ("bitnami/valkey:8", {"podSecurityContext": {"runAsUser": 1001}}, False),
        ("docker.io/valkey/valkey:8", {}, False),
        ("valkey/valkey:9-alpine", {}, False),
        ("registry.example.com:5000/valkey/valkey@sha256:abc", {}, False),
        ("redis:7", {}, False),
    ],
)
def test_a_valkey_of_another_make_keeps_the_user_that_it_runs_with(image, more, keeps):
    cr, objects = an_instance("minimal")
    cr["spec"]["valkey"] |= run_of(objects, image) | more

    result = plan(cr, seen=seen_with(cr, objects), images=DEFAULT_IMAGES, new_password=PASSWORD)

    spec = found(result, "Deployment", "photos-valkey")["spec"]["template"]["spec"]
    assert ("runAsUser" not in spec["securityContext"]) is keeps
    assert ("securityContext" not in spec["containers"][0]) is keeps
    warnings = [n.message for n in result.notices if n.reason == "NotHardened"]
    assert [f"image {image}" in message for message in warnings] == [True] * keeps
    second = plan(cr, seen=seen_with(cr, [*objects, *as_live(result)]), images=DEFAULT_IMAGES, new_password=PASSWORD)
    assert found(second, "Deployment", "photos-valkey") == found(result, "Deployment", "photos-valkey")


PAGE = Path(__file__).resolve().parents[4] / "docs" / "how-to" / "move-from-the-go-operator.md"
PODS = {"server": "server", "machine learning": "machine-learning", "database": "postgres", "valkey": "valkey"}
DEFAULTS = {
    "dnsPolicy", "restartPolicy", "schedulerName", "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy",
    "successThreshold", "scheme", "defaultMode",
}  # fmt: skip
"""Fields that the API server fills in by itself, and that are not in what we send."""


def fields(value, path=""):
    """{path: value} of all there is in a pod template; items of lists by their names."""
    if isinstance(value, dict):
        inner = {f"{path}.{key}" if path else key: item for key, item in value.items() if key not in DEFAULTS}
        return {key: item for name, below in inner.items() for key, item in fields(below, name).items()}
    if isinstance(value, list) and value and isinstance(value[0], dict) and "name" in value[0]:
        return {key: item for below in value for key, item in fields(below, f"{path}[{below['name']}]").items()}
    return {path: value} if value not in ({}, []) else {}


def changes(size):
    """{(component, path below the pod template's spec, or metadata...)} of what the move changes in the pods."""
    cr, objects = an_instance(size)
    result = plan(cr, seen=seen_with(cr, objects), images=DEFAULT_IMAGES, new_password=PASSWORD)
    for after in workloads(result):
        template = live(objects, after["kind"], after["metadata"]["name"])["spec"]["template"]
        old, new = fields(template), fields(after["spec"]["template"])
        new = {"spec.terminationGracePeriodSeconds": 30, **new}  # the default
        for path in old.keys() | new.keys():
            if old.get(path) != new.get(path):
                yield after["metadata"]["labels"]["app.kubernetes.io/component"], path.removeprefix("spec.")


def documented():
    """[(components, start of a path)] of the table on the page."""
    section = PAGE.read_text(encoding="utf-8").split("## What changes in the pods")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("|")
    ]
    for pods, names, why in rows[2:]:
        assert why
        components = set(PODS.values()) if pods == "all" else {PODS[word] for word in pods.split(", ")}
        for name in names.split(", "):
            yield components, name.strip("`")


def is_told_by(path, start):
    """Whether a path begins with a documented one, in which [] stands for any container."""
    pattern = re.escape(start).replace(re.escape("[]"), r"\[[^]]*\]")
    return re.match(rf"{pattern}(?=$|[.\[])", path) is not None


def test_the_page_about_the_move_lists_everything_that_changes_in_the_pods_and_nothing_else():
    changed = {change for size in ("minimal", "full") for change in changes(size)}
    rows = list(documented())

    untold = {
        (component, path)
        for component, path in changed
        if not any(component in components and is_told_by(path, start) for components, start in rows)
    }
    assert untold == set()
    unchanged = [
        (component, start)
        for components, start in rows
        for component in components
        if not any(component == other and is_told_by(path, start) for other, path in changed)
    ]
    assert unchanged == []
