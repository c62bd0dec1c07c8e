# SPDX-License-Identifier: Apache-2.0
"""What Argo CD, Flux and other tools take an Immich for, by the health checks in config/gitops and by kstatus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import celpy
import pytest
import yaml
from celpy.adapter import json_to_cel
from lupa import lua51

from immich_operator.passes import conditions
from support.instances import a_cr, a_pod, an_instance_at_work, report_for, with_status

GITOPS = Path(__file__).parents[3] / "config" / "gitops"
ARGO = GITOPS / "argocd" / "resource_customizations" / "media.rm3l.org" / "Immich"
LUA = (ARGO / "health.lua").read_text(encoding="utf-8")
CASES = yaml.safe_load((ARGO / "health_test.yaml").read_text(encoding="utf-8"))["tests"]
FLUX_CALLS_IT = {"Healthy": "current", "Progressing": "inProgress", "Degraded": "failed"}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def argo_health(obj: dict[str, Any]) -> dict[str, Any]:
    """What the script returns, in Lua 5.1, which Argo CD's interpreter speaks."""
    lua = lua51.LuaRuntime(unpack_returned_tuples=True)
    lua.globals().obj = lua.table_from(obj, recursive=True)
    return dict(lua.execute(LUA))


def flux_state(obj: dict[str, Any]) -> str:
    """The first expression that holds, in Flux's order; one that names a field that is not there is in progress."""
    [check] = load(GITOPS / "flux" / "kustomization.yaml")["spec"]["healthCheckExprs"]
    environment = celpy.Environment()
    for state in ("inProgress", "failed", "current"):
        try:
            if environment.program(environment.compile(check[state])).evaluate(json_to_cel(obj)):
                return state
        except celpy.CELEvalError:
            return "inProgress"
    return "inProgress"


def kstatus(obj: dict[str, Any]) -> str:
    """What `status.Compute` of sigs.k8s.io/cli-utils says of a kind that it does not know, by its generic rules."""
    status, generation = obj.get("status") or {}, obj["metadata"]["generation"]
    found = {entry["type"]: entry["status"] for entry in status.get("conditions") or ()}
    if status.get("observedGeneration", generation) != generation or found.get("Reconciling") == "True":
        return "inProgress"
    if found.get("Stalled") == "True":
        return "failed"
    return "inProgress" if found.get("Ready", "True") != "True" else "current"


EACH = pytest.mark.parametrize("case", [pytest.param(case, id=Path(case["inputPath"]).stem) for case in CASES])


@EACH
def test_argo_cd_takes_it_for_what_it_is(case: dict[str, Any]) -> None:
    assert argo_health(load(ARGO / case["inputPath"])) == case["healthStatus"]


@EACH
def test_flux_takes_it_for_what_it_is(case: dict[str, Any]) -> None:
    assert flux_state(load(ARGO / case["inputPath"])) == FLUX_CALLS_IT[case["healthStatus"]["status"]]


@EACH
def test_what_goes_by_kstatus_alone_comes_to_the_same_once_there_is_a_status(case: dict[str, Any]) -> None:
    obj = load(ARGO / case["inputPath"])
    if "status" in obj:
        assert kstatus(obj) == FLUX_CALLS_IT[case["healthStatus"]["status"]]
    else:
        assert kstatus(obj) == "current", "which is why there is a status before the first play"


def test_every_file_of_test_data_is_tried() -> None:
    files = {f"testdata/{path.name}" for path in (ARGO / "testdata").iterdir()}

    assert files == {case["inputPath"] for case in CASES}


def test_the_config_map_has_the_script() -> None:
    data = load(GITOPS / "argocd" / "argocd-cm.yaml")["data"]

    assert data == {"resource.customizations.health.media.rm3l.org_Immich": LUA}


STARTING = with_status(an_instance_at_work(a_cr()), "Deployment", "photos-server", availableReplicas=0)
MADE = [
    pytest.param(an_instance_at_work(a_cr()), [], "Healthy", id="ready"),
    pytest.param([], [], "Progressing", id="new"),
    pytest.param(STARTING, [], "Progressing", id="starting"),
    pytest.param(STARTING, [a_pod("server", "ErrImagePull", "not found")], "Degraded", id="stuck"),
    pytest.param(
        with_status(STARTING, "Deployment", "photos-valkey", availableReplicas=0),
        [a_pod("server", "ErrImagePull", "not found")],
        "Degraded",
        id="stuck-while-something-else-starts",
    ),
]


@pytest.mark.parametrize(("live", "pods", "expected"), MADE)
def test_what_a_pass_reports_is_understood_by_all(live: list[Any], pods: list[Any], expected: str) -> None:
    cr = {**a_cr(), "status": report_for(a_cr(), live, pods=pods)["status"]}

    assert argo_health(cr)["status"] == expected
    assert flux_state(cr) == kstatus(cr) == FLUX_CALLS_IT[expected]


def test_what_the_loop_says_before_the_first_play_and_in_its_place_is_understood_by_all() -> None:
    announced = {**a_cr(), "status": {"conditions": conditions.announced({}, 0.0)}}
    patch = conditions.patch(announced, conditions.refused(announced["status"], "too deep", 1, 0.0), unready=True)
    assert patch is not None
    refused = {**a_cr(), "status": {**announced["status"], **patch["status"]}}

    assert (argo_health(announced)["status"], flux_state(announced), kstatus(announced)) == (
        "Progressing",
        "inProgress",
        "inProgress",
    )
    assert (argo_health(refused)["status"], flux_state(refused), kstatus(refused)) == ("Degraded", "failed", "failed")
