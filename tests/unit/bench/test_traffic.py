# SPDX-License-Identifier: Apache-2.0
"""From lines of the audit log to times and counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.traffic import Request, creation, instance_of, read, repair_s, verbs
from localcluster.audit import Mark

LOOP, PASS, BENCH = "immich-operator/0.1.0", "immich-operator/0.1.0 (pass)", "localcluster-tests"


def a_request(agent: str, verb: str, resource: str, name: str = "", *, at: float = 0.0, code: int = 200) -> Request:
    """One that took 10 ms."""
    return Request(agent=agent, verb=verb, resource=resource, name=name, code=code, received=at - 0.01, completed=at)


def an_event(agent: str, stage: str = "ResponseComplete") -> dict[str, Any]:
    return {
        "stage": stage,
        "verb": "patch",
        "userAgent": agent,
        "objectRef": {"resource": "immiches", "subresource": "status", "name": "photos-0001"},
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": "1970-01-01T00:00:01.250000Z",
        "stageTimestamp": "1970-01-01T00:00:01.500000Z",
    }


def an_instance(name: str, *, created: float, objects: float, status: float) -> list[Request]:
    return [
        a_request(BENCH, "create", "immiches", name, at=created, code=201),
        a_request(PASS, "list", "services", at=created + 0.1),
        a_request(PASS, "create", "secrets", f"{name}-postgres-credentials", at=objects - 0.1, code=201),
        a_request(PASS, "patch", "deployments", f"{name}-server", at=objects, code=201),
        a_request("kube-controller-manager/v1", "create", "replicasets", f"{name}-server-1", at=status + 9, code=201),
        a_request(PASS, "patch", "immiches/status", name, at=status),
        a_request(PASS, "create", "events", f"{name}.1", at=status + 0.1, code=201),
        a_request(PASS, "patch", "immiches/status", name, at=status + 1),
        a_request(LOOP, "update", "leases", "immich-operator", at=created + 0.1),
        a_request(LOOP, "watch", "pods", at=created + 0.1),
    ]


def test_a_request_has_the_times_and_names_of_its_audit_event() -> None:
    assert Request.from_event(an_event(PASS)) == Request(
        agent=PASS, verb="patch", resource="immiches/status", name="photos-0001", code=200, received=1.25, completed=1.5
    )


def test_only_answers_to_operator_and_bench_between_the_marks_are_read(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    events = [
        an_event(LOOP),
        an_event(PASS),
        an_event(PASS, "RequestReceived"),
        an_event("kwok/v1"),
        an_event(BENCH),
        an_event(LOOP),
    ]
    lines = [json.dumps(event, separators=(",", ":")).encode() + b"\n" for event in events]
    log.write_bytes(b"".join(lines))

    found = read(log, Mark(0, len(lines[0])), Mark(0, len(b"".join(lines[:-1]))))

    assert [request.agent for request in found] == [PASS, BENCH]


def test_creation_is_timed_from_the_first_custom_resource_to_the_last_that_got_so_far() -> None:
    requests = [
        *an_instance("photos-0001", created=10.01, objects=11.0, status=11.5),
        *an_instance("photos-0002", created=10.02, objects=13.0, status=13.25),
    ]

    figures = creation(requests, ready_at={"photos-0001": 14.0, "photos-0002": 14.5}, settled_at=15.0, crs=2)

    times = {figure.key.what: figure.value for figure in figures if figure.key.section == "Creation"}
    assert times == pytest.approx(
        {"all objects exist": 3.0, "first status written": 3.25, "ready": 4.5, "no pass due any more": 5.0}
    )


def test_requests_are_counted_per_instance_without_watches_and_the_lease() -> None:
    requests = an_instance("photos-0001", created=10.01, objects=11.0, status=11.5)

    figures = creation(requests, ready_at={"photos-0001": 12.2}, settled_at=12.6, crs=1)

    counts = {figure.key.what: figure.value for figure in figures if figure.key.section == "Requests per instance"}
    assert counts == {
        "until all objects exist": 3,
        "until first status written": 4,
        "until ready": 5,
        "until no pass due any more": 6,
        "of these, create": 2,
        "of these, list": 1,
        "of these, patch": 3,
    }


def test_an_instance_without_a_status_is_no_measurement() -> None:
    requests = [
        r for r in an_instance("photos-0001", created=1, objects=2, status=3) if r.resource != "immiches/status"
    ]

    with pytest.raises(ValueError, match="of 1 custom resources"):
        creation(requests, ready_at={"photos-0001": 4.0}, settled_at=5.0, crs=1)


def test_a_repair_takes_from_the_harm_to_the_first_answer_after_it() -> None:
    requests = [
        a_request(PASS, "patch", "services", "photos-0001-server", at=1.0),
        a_request(BENCH, "delete", "services", "photos-0001-server", at=2.0),
        a_request(PASS, "get", "services", "photos-0001-server", at=2.1),
        a_request(PASS, "patch", "services", "photos-0001-valkey", at=2.2),
        a_request(PASS, "patch", "services", "photos-0001-server", at=2.3, code=201),
        a_request(PASS, "patch", "services", "photos-0001-server", at=9.0),
    ]

    assert repair_s(requests, "services", "photos-0001-server") == pytest.approx(0.31)


def test_what_the_operator_did_not_repair_is_no_measurement() -> None:
    requests = [a_request(BENCH, "delete", "services", "photos-0001-server", at=2.0)]

    with pytest.raises(ValueError, match=r"^services photos-0001-server was set right by somebody else"):
        repair_s(requests, "services", "photos-0001-server")


def test_verbs_are_counted_in_alphabetical_order() -> None:
    found = verbs([a_request(PASS, verb, "pods") for verb in ("list", "get", "list")])

    assert list(found.items()) == [("get", 1), ("list", 2)]


@pytest.mark.parametrize(
    ("name", "instance"),
    [
        pytest.param("photos-0001", "photos-0001", id="itself"),
        pytest.param("photos-0001-server", "photos-0001", id="begins-with-it"),
        pytest.param("data-photos-0001-postgres-0", "photos-0001", id="holds-it"),
        pytest.param("kubernetes", "", id="of-none"),
    ],
)
def test_an_object_tells_its_instance_by_its_name(name: str, instance: str) -> None:
    assert instance_of(name) == instance
