# SPDX-License-Identifier: Apache-2.0
"""config/ says the same as the code that it deploys."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import immich_operator
from ansible_collections.media.immich.plugins.plugin_utils.components import images
from ansible_collections.media.immich.plugins.plugin_utils.kube import kinds, transport
from ansible_collections.media.immich.plugins.plugin_utils.spec.custom_kinds import CUSTOM_KINDS
from immich_operator.config import settings

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "config"
READ = {"get", "list", "watch"}
WRITE = {"create", "patch"}  # server-side apply of an object that may be absent
PLURALS = {row.kind: row.plural for row in (*kinds.KINDS, *CUSTOM_KINDS)}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def manager() -> dict[str, Any]:
    """The pod specification of the operator."""
    spec: dict[str, Any] = load(CONFIG / "manager" / "manager.yaml")["spec"]["template"]["spec"]
    return spec


def container() -> dict[str, Any]:
    [only] = manager()["containers"]
    return dict(only)


def deployed_settings() -> settings.Settings:
    parser = argparse.ArgumentParser()
    settings.add_arguments(parser)
    return settings.resolve(parser.parse_args(container()["args"]), {})


def verbs(api_version: str, kind: str) -> set[str]:
    """What the operator may do with a kind."""
    group = api_version.rpartition("/")[0]
    plural = PLURALS[kind]
    return {
        verb
        for rule in load(CONFIG / "rbac" / "manager_role.yaml")["rules"]
        if group in rule["apiGroups"] and plural in rule["resources"]
        for verb in rule["verbs"]
    }


def kinds_watched() -> list[tuple[str, str]]:
    entries = load(ROOT / "watches.yaml")
    listed = [each for entry in entries for each in (*entry["dependents"]["kinds"], *entry["references"])]
    ours = [(f"{entry['group']}/{entry['version']}", entry["kind"]) for entry in entries]
    return [(each["apiVersion"], each["kind"]) for each in listed] + ours


def test_the_deployed_images_are_those_that_rendering_without_an_operator_uses() -> None:
    environment = {entry["name"]: entry.get("value") for entry in container()["env"]}

    deployed = {component: environment.get(variable) for component, variable in images.IMAGE_VARIABLES.items()}

    assert deployed == images.DEFAULT_IMAGES


def test_one_version_everywhere() -> None:
    [image] = load(CONFIG / "manager" / "kustomization.yaml")["images"]
    galaxy = load(ROOT / "galaxy.yml")

    versions = {image["newTag"], galaxy["version"], transport.COLLECTION_VERSION}

    assert versions == {immich_operator.__version__}


def test_every_flag_of_the_deployment_is_one_that_the_operator_knows() -> None:
    assert deployed_settings().leader_elect


def test_probes_and_metrics_go_to_the_ports_that_the_operator_opens() -> None:
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}

    chosen = deployed_settings()

    assert (chosen.health_probe_bind_address, chosen.metrics_bind_address) == (
        ("", ports["health"]),
        ("", ports["metrics"]),
    )


def test_the_pod_outlives_the_operators_own_time_to_shut_down() -> None:
    to_kill_plays_and_release_the_lease_s = 15

    grace_s = manager()["terminationGracePeriodSeconds"]

    assert grace_s >= deployed_settings().graceful_shutdown_timeout + to_kill_plays_and_release_the_lease_s


def test_the_lease_that_may_be_renewed_is_the_one_that_is_used() -> None:
    rules = load(CONFIG / "rbac" / "leader_election_role.yaml")["rules"]

    names = {name for rule in rules for name in rule.get("resourceNames", ())}

    assert names == {deployed_settings().leader_election_id}


@pytest.mark.parametrize(
    ("api_version", "kind"), [pytest.param(*kind, id=kind[1]) for kind in dict.fromkeys(kinds_watched())]
)
def test_everything_that_is_watched_may_be_listed_and_watched(api_version: str, kind: str) -> None:
    assert verbs(api_version, kind) >= {"list", "watch"}


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [pytest.param(row.api_version, row.kind, id=row.kind) for row in (*kinds.OWNED, *kinds.OPTIONAL)],
)
def test_everything_that_an_instance_consists_of_may_be_made_and_removed_but_never_data(
    api_version: str, kind: str
) -> None:
    removal = set() if kind == "PersistentVolumeClaim" else {"delete"}

    assert verbs(api_version, kind) == READ | WRITE | removal


def test_events_may_be_posted_and_read() -> None:
    assert verbs("v1", "Event") >= {"create", "list"}


def test_the_operators_role_has_no_wildcard_and_no_right_over_rights() -> None:
    rules = load(CONFIG / "rbac" / "manager_role.yaml")["rules"]

    everything = {item for rule in rules for field in ("apiGroups", "resources", "verbs") for item in rule[field]}

    assert not everything & {"*", "rbac.authorization.k8s.io", "escalate", "bind", "impersonate", "pods/exec"}


def test_all_that_is_written_on_a_read_only_root_has_a_volume() -> None:
    mounted = {mount["mountPath"] for mount in container()["volumeMounts"] if not mount.get("readOnly")}
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")

    [home] = re.findall(r"^ENV HOME=(\S+)", dockerfile, re.MULTILINE)

    assert mounted == {home, "/tmp"}  # noqa: S108 - the container's own
    assert container()["securityContext"]["readOnlyRootFilesystem"]


def test_the_token_of_the_operator_ends_after_an_hour_and_with_its_pod() -> None:
    """3607 s, which the token has that is mounted by itself, would be made a year by API servers."""
    mounted_by_itself = "/var/run/secrets/kubernetes.io/serviceaccount"
    [volume] = [v for v in manager()["volumes"] if v["name"] == "service-account"]
    tokens = [s["serviceAccountToken"] for s in volume["projected"]["sources"] if "serviceAccountToken" in s]
    mounts = [m for m in container()["volumeMounts"] if m["name"] == "service-account"]

    assert manager()["automountServiceAccountToken"] is False
    assert load(CONFIG / "rbac" / "service_account.yaml")["automountServiceAccountToken"] is False
    assert tokens == [{"path": "token", "expirationSeconds": 3600}]
    assert mounts == [{"name": "service-account", "mountPath": mounted_by_itself, "readOnly": True}]
    assert not any("secret" in volume for volume in manager()["volumes"]), "no token without an end"
