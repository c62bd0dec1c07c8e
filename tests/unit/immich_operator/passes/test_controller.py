# SPDX-License-Identifier: Apache-2.0
"""One pass: what play is made of a custom resource, and what follows from its result. The engine is a fake."""

import functools
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import refusal
from ansible_collections.media.immich.plugins.plugin_utils.kube.resource_paths import BUILT_IN, Resource
from immich_operator.config.options import Bounds
from immich_operator.config.watches import Finalizer, Watch
from immich_operator.engine import Play, PlayResult
from immich_operator.engine.artifacts import Artifacts
from immich_operator.kube.client import ApiObjects
from immich_operator.kube.label_selectors import Selector
from immich_operator.kube.resources import Kind, Manifest, NamespacedName
from immich_operator.passes.controller import Controller, PlaySettings, Tools
from immich_operator.passes.finalizers import Finalizers
from immich_operator.passes.metrics import Metrics
from immich_operator.passes.settled import Settled
from immich_operator.passes.status import StatusWriter
from immich_operator.passes.throttle import Throttle
from immich_operator.passes.workers import Workers
from immich_operator.passes.workqueue import Item, Queue
from immich_operator.process.logs import FieldLogger
from immich_operator.watching.outline import LARGEST, outline
from immich_operator.watching.triggers import Key

WIDGET = Kind("example.org/v1", "Widget")
MAIN = NamespacedName("family", "main")
KEY = Key("widget-v1-controller", MAIN)
GOOD = PlayResult(status="successful", rc=0, stats={"ok": 1}, duration_s=0.5)


class FakeEngine:
    """Remembers plays; each has the next result, the last one for ever. A result may be a function of the play."""

    def __init__(self, *results: PlayResult | Callable[[Play], PlayResult]) -> None:
        self.plays: list[Play] = []
        self._results = list(results) or [GOOD]

    def run(self, play: Play, _cancel: threading.Event) -> PlayResult:
        self.plays.append(play)
        result = self._results.pop(0) if len(self._results) > 1 else self._results[0]
        return result(play) if callable(result) else result

    def close(self) -> None:
        return


class FakeApi:
    """A transport to one object. `writes` holds (method, path, body)."""

    def __init__(self, obj: Manifest) -> None:
        self.obj = obj
        self.writes: list[tuple[str, str, Any]] = []
        self.conflicts = 0

    def request(self, method: str, path: str, *, body: Any = None, **_: Any) -> Manifest:
        return self.obj if method == "GET" else self.write(method, path, body)

    def write(self, method: str, path: str, body: Manifest) -> Manifest:
        if self.conflicts:
            self.conflicts -= 1
            raise refusal(409, "Conflict", {}, path)
        self.writes.append((method, path, body))
        metadata = {**self.obj["metadata"], **body.get("metadata", {})}
        self.obj = {**self.obj, "metadata": metadata, **({"status": body["status"]} if "status" in body else {})}
        return self.obj


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        fields: Mapping[str, Any] = vars(record)["fields"]
        self.lines.append({"level": record.levelname, "msg": record.getMessage(), **fields})


class Bench:
    """A controller with everything around it."""

    def __init__(self, tmp_path: Path, cr: Manifest | None, engine: FakeEngine | None = None, **watch: Any) -> None:
        self.cr = cr
        self.engine = engine or FakeEngine()
        self.api = FakeApi(cr or {"metadata": {}})
        self.folder = tmp_path
        self.now = 0.0
        self.queue: Queue[Key] = Queue(clock=lambda: self.now)
        self.metrics = Metrics()
        self.output = Lines()
        objects = ApiObjects(self.api, known={**BUILT_IN, WIDGET: Resource("widgets")})  # type: ignore[arg-type]
        log = FieldLogger("test", "DEBUG")
        log.addHandler(self.output)
        options = {"role": Path("/roles/widget"), "manage_status": False, **watch}
        self.watch = Watch(kind=WIDGET, **options)
        self.controller = Controller(
            "widget-v1-controller",
            self.watch,
            read=lambda ref: None if self.cr is None or ref != MAIN else outline(self.cr, self.watch),
            fetch=lambda _known: self.cr or {},
            plays=PlaySettings(
                folder=tmp_path,
                env={"KUBECONFIG": "k"},
                period_s=600,
                verbosity=2,
                timeout_s=60,
                bounds=Bounds(min_period_s=30, max_verbosity=3, max_artifacts=20),
            ),
            tools=Tools(
                engine=self.engine,
                status=StatusWriter(self.watch, objects, log, wall=lambda: 0.0),
                finalizers=Finalizers(self.watch, objects),
                metrics=self.metrics,
                settled=Settled(self.watch, lambda _kind, _ref: None, reliable=lambda: True),
                throttle=Throttle(burst=10, interval_s=2, clock=lambda: self.now),
                artifacts=Artifacts(each=1_000_000, whole=10_000_000),
                log=log,
            ),
        )

    def reconcile(self, *reasons: str) -> str:
        item = Item(KEY, reasons or ("created",), 0.1)
        return self.controller.reconcile(item, self.queue, threading.Event())

    def next_pass(self, after_s: float) -> tuple[str, ...]:
        """Reasons of the pass due after this time, () if none is."""
        self.now += after_s
        item = self.queue.take()
        return item.reasons if item else ()


def a_widget(spec: object = None, **metadata: Any) -> Manifest:
    return {
        "apiVersion": "example.org/v1",
        "kind": "Widget",
        "metadata": {"name": "main", "namespace": "family", "uid": "u1", "resourceVersion": "1", **metadata},
        "spec": spec if spec is not None else {},
    }


def test_a_play_gets_everything_that_watches_yaml_and_settings_say(tmp_path):
    bench = Bench(tmp_path, a_widget({"fooBar": "{{ x }}"}), vars={"extra": 1}, max_runner_artifacts=3)

    assert bench.reconcile() == "success"

    (play,) = bench.engine.plays
    assert (play.role, play.playbook) == (Path("/roles/widget"), None)
    assert play.private_data_dir == tmp_path / "family/main"
    assert play.extra_vars["foo_bar"] == {"__ansible_unsafe": "{{ x }}"}
    assert play.extra_vars["extra"] == 1
    assert (play.env, play.verbosity, play.timeout_s, play.rotate_artifacts) == ({"KUBECONFIG": "k"}, 2, 60, 3)


def test_a_pass_is_one_line_that_says_what_why_how_long_and_what_changed(tmp_path):
    result = PlayResult(status="successful", rc=0, report={"changed": ["created ConfigMap c"]}, duration_s=0.25)
    bench = Bench(tmp_path, a_widget(), FakeEngine(result))

    bench.reconcile("generation 1 -> 2", "period")

    (line,) = bench.output.lines
    expected = {
        "level": "INFO", "msg": "pass finished", "namespace": "family", "name": "main", "uid": "u1",
        "why": ["generation 1 -> 2", "period"], "duration_s": 0.25, "result": "successful",
        "changed": ["created ConfigMap c"],
    }  # fmt: skip
    assert expected.items() <= line.items()
    assert line["pass_id"] == bench.engine.plays[0].ident


def test_after_a_success_the_period_says_when_to_look_again(tmp_path):
    bench = Bench(tmp_path, a_widget())

    bench.reconcile()

    assert bench.next_pass(599) == ()
    assert bench.next_pass(1) == ("period",)


def test_the_period_of_watches_yaml_takes_precedence_over_the_settings_and_zero_in_the_annotation_means_never(tmp_path):
    annotation = {"ansible.sdk.operatorframework.io/reconcile-period": "0s"}
    shorter, never = (
        Bench(tmp_path, a_widget(), reconcile_period_s=60.0),
        Bench(tmp_path, a_widget(annotations=annotation)),
    )

    shorter.reconcile()
    never.reconcile()

    assert shorter.next_pass(60) == ("period",)
    assert never.next_pass(10**9) == ()


def test_no_play_is_run_for_what_the_last_pass_left_as_it_is_now(tmp_path):
    left = {"observed": {"dependents": {}, "references": {}}}
    settled = PlayResult(status="successful", rc=0, report=left)
    bench = Bench(tmp_path, a_widget(generation=1), FakeEngine(settled))

    bench.reconcile()
    assert bench.reconcile("period") == "success"

    assert len(bench.engine.plays) == 1
    assert bench.next_pass(600) == ("period",)
    bench.cr = a_widget(generation=2)
    bench.reconcile("generation 1 -> 2")
    assert len(bench.engine.plays) == 2


def annotated(**wishes: str) -> Manifest:
    names = {f"ansible.sdk.operatorframework.io/{key.replace('_', '-')}": text for key, text in wishes.items()}
    return a_widget(annotations=names)


def test_what_an_annotation_asks_for_and_does_not_get_is_told_once_in_log_and_events(tmp_path):
    bench = Bench(tmp_path, annotated(reconcile_period="1ns", verbosity="7", max_runner_artifacts="0"))

    for _ in range(3):
        bench.reconcile()

    told = [line["error"] for line in bench.output.lines if line["msg"] == "annotation not followed"]
    assert told == [
        "annotation ansible.sdk.operatorframework.io/reconcile-period: '1ns' is shorter than --min-reconcile-period "
        "allows, so it is 30s",
        "annotation ansible.sdk.operatorframework.io/verbosity: '7' is more than --max-verbosity allows, so it is 3",
        "annotation ansible.sdk.operatorframework.io/max-runner-artifacts: '0' is more than --max-runner-artifacts "
        "allows, so it is 20",
    ]
    assert [body["message"] for _, _, body in bench.api.writes if body["kind"] == "Event"] == told
    assert (bench.engine.plays[0].verbosity, bench.engine.plays[0].rotate_artifacts) == (3, 20)
    assert bench.next_pass(29.9) == ()
    assert bench.next_pass(0.1) == ("period",)

    bench.cr = annotated(verbosity="6")
    bench.reconcile()
    assert bench.output.lines[-2]["error"].startswith("annotation ansible.sdk.operatorframework.io/verbosity: '6'")


def test_one_resource_gets_a_burst_of_plays_and_then_one_now_and_then(tmp_path):
    bench = Bench(tmp_path, a_widget())

    for number in range(1000):
        bench.cr = a_widget(generation=number + 1)
        bench.reconcile(f"generation {number} -> {number + 1}")
        bench.now += 0.01

    assert len(bench.engine.plays) in (10 + 4, 10 + 5), "a burst, and one each two seconds of ten"
    lines = [line for line in bench.output.lines if "changes come faster" in line["msg"]]
    assert [line["level"] for line in lines[:2]] == ["WARNING", "DEBUG"]
    assert bench.next_pass(2) != (), "the last change is not lost"


def test_annotations_that_never_stop_asking_are_not_told_of_more_often_than_plays_are_run(tmp_path):
    bench = Bench(tmp_path, None)

    for number in range(100):
        bench.cr = annotated(verbosity=str(number + 4))
        bench.reconcile("annotations changed")

    assert len([body for _, _, body in bench.api.writes if body["kind"] == "Event"]) == len(bench.engine.plays) == 10


def test_a_resource_that_is_made_again_and_again_is_no_other_one(tmp_path):
    bench = Bench(tmp_path, None)

    for number in range(100):
        bench.cr = a_widget(uid=f"u{number}")
        bench.reconcile()
        bench.cr = None
        bench.reconcile("deleted")

    assert len(bench.engine.plays) == 10


def test_what_settled_resources_cost_is_no_play_so_it_counts_for_nothing(tmp_path):
    left = {"observed": {"dependents": {}, "references": {}}}
    bench = Bench(tmp_path, a_widget(generation=1), FakeEngine(PlayResult(status="successful", rc=0, report=left)))
    for _ in range(100):
        bench.reconcile("period")

    bench.cr = a_widget(generation=2)
    bench.reconcile("generation 1 -> 2")

    assert len(bench.engine.plays) == 2


def test_requeue_after_replaces_the_period(tmp_path):
    bench = Bench(tmp_path, a_widget(), FakeEngine(PlayResult(status="successful", rc=0, requeue_after_s=5)))

    assert bench.reconcile() == "requeue_after"

    assert bench.next_pass(5) == ("requeue_after",)


@pytest.mark.parametrize(
    ("result", "failures"),
    [
        pytest.param(
            PlayResult(status="failed", rc=2, failures=("a task: no luck",)), ["a task: no luck"], id="failed-task"
        ),
        pytest.param(
            PlayResult(status="timeout", rc=254),
            ["the play took too long and was killed; see --play-timeout"],
            id="timeout",
        ),
        pytest.param(
            PlayResult(status="error", rc=4),
            ["the play did not finish (exit status 4); its output is in the artifacts folder"],
            id="error",
        ),
    ],
)
def test_a_failure_is_an_error_line_and_is_retried_after_a_second(result, failures, tmp_path):
    bench = Bench(tmp_path, a_widget(), FakeEngine(result))

    assert bench.reconcile() == "error"

    (line,) = bench.output.lines
    assert (line["level"], line["msg"], line["result"], line["failures"]) == (
        "ERROR",
        "pass failed",
        result.status,
        failures,
    )
    assert bench.next_pass(0.9) == ()
    assert bench.next_pass(0.31) == ("retry 1",)


def test_a_success_after_failures_resets_the_back_off(tmp_path):
    bad = PlayResult(status="failed", rc=2)
    bench = Bench(tmp_path, a_widget(), FakeEngine(bad, bad, GOOD, bad))

    for _ in range(4):
        bench.reconcile()

    assert bench.next_pass(1.2) == ("retry 1",)


def test_a_canceled_play_is_neither_retried_nor_written_to_the_status(tmp_path):
    bench = Bench(tmp_path, a_widget(), FakeEngine(PlayResult(status="canceled", rc=254)), manage_status=True)
    bench.api.obj["status"] = bench.cr["status"] = {"conditions": [{"type": "Running", "status": "True"}]}

    bench.reconcile()

    assert bench.api.writes == []
    assert bench.next_pass(10**6) == ()


def test_a_resource_that_is_gone_leaves_nothing_behind(tmp_path):
    bench = Bench(tmp_path, a_widget(creationTimestamp="2026-01-01T00:00:00Z"))
    bench.reconcile()
    (tmp_path / "family/main/artifacts").mkdir(parents=True)
    assert b'resource_created_at_seconds{group="example.org"' in exposition(bench.metrics)
    bench.cr = None

    assert bench.reconcile("deleted") == "success"

    assert not (tmp_path / "family/main").exists()
    assert b'resource_created_at_seconds{group="example.org"' not in exposition(bench.metrics)
    assert bench.next_pass(10**6) == ()
    assert len(bench.engine.plays) == 1


def test_folders_of_resources_that_went_while_no_operator_ran_are_removed(tmp_path):
    for name in ("main", "gone"):
        (tmp_path / "family" / name / "artifacts").mkdir(parents=True)

    Bench(tmp_path, a_widget()).controller.sweep()

    assert [folder.name for folder in (tmp_path / "family").iterdir()] == ["main"]


def test_what_a_killed_operator_left_of_its_plays_is_removed(tmp_path):
    root = tmp_path / "family" / "main"
    masked, whole, cut = (root / "artifacts" / name / "command" for name in ("old", "killed", "cut"))
    for file, text in {
        root / "env" / "extravars": '{"password": "s3cr3t"}',
        root / "tmp" / "run" / "file": "s3cr3t",
        whole: '{"command": ["a"], "cwd": "/", "env": {"TOKEN": "s3cr3t"}}',
        masked: '{"command": ["a"], "cwd": "/", "env": {"TOKEN": ""}}',
        cut: '{"command": ["a"], "env": {"TOKEN": "s3cr3t',
        root / "artifacts" / "killed" / "stdout": "what it said",
    }.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    Bench(tmp_path, a_widget()).controller.clean_up()

    left = {file.relative_to(root): file.read_text() for file in root.rglob("*") if file.is_file()}
    assert [text for text in left.values() if "s3cr3t" in text] == []
    assert whole.read_text() == masked.read_text()
    assert (root / "artifacts" / "killed" / "stdout").exists()


def test_a_resource_outside_the_selector_is_left_alone(tmp_path):
    bench = Bench(tmp_path, a_widget(), selector=Selector.from_manifest({"matchLabels": {"team": "a"}}))

    assert bench.reconcile() == "success"

    assert bench.engine.plays == []


def test_a_resource_that_is_being_deleted_gets_no_pass_without_a_finalizer_of_ours(tmp_path):
    bench = Bench(tmp_path, a_widget(deletionTimestamp="now", finalizers=["somebody.else/s"]))

    assert bench.reconcile() == "success"

    assert bench.engine.plays == []


def test_a_resource_that_is_being_deleted_gets_a_pass_when_it_waits_for_a_predecessor(tmp_path):
    cr = a_widget(deletionTimestamp="now", finalizers=["predecessor.org/finalizer"])
    bench = Bench(tmp_path, cr, former_finalizer="predecessor.org/finalizer")

    assert bench.reconcile() == "success"

    assert len(bench.engine.plays) == 1
    assert bench.api.writes == [], "it is the role that takes the finalizer off"


FINALIZER = Finalizer(name="example.org/finalizer", playbook=Path("/gone.yml"), vars={"state": "absent"})


def test_a_finalizer_is_added_before_the_first_play(tmp_path):
    bench = Bench(tmp_path, a_widget(finalizers=["other"]), finalizer=FINALIZER)

    bench.reconcile()

    metadata = {"finalizers": ["other", "example.org/finalizer"], "resourceVersion": "1"}
    assert bench.api.writes == [
        ("PATCH", "/apis/example.org/v1/namespaces/family/widgets/main", {"metadata": metadata})
    ]
    assert bench.engine.plays[0].role == Path("/roles/widget")


def test_deletion_runs_the_finalizers_playbook_with_its_vars_and_then_lets_go(tmp_path):
    cr = a_widget(deletionTimestamp="now", finalizers=["example.org/finalizer", "other"])
    bench = Bench(tmp_path, cr, finalizer=FINALIZER, vars={"state": "present"})

    bench.reconcile()

    (play,) = bench.engine.plays
    assert (play.playbook, play.role, play.extra_vars["state"]) == (Path("/gone.yml"), None, "absent")
    assert bench.api.writes[-1][2]["metadata"]["finalizers"] == ["other"]


def test_a_deletion_whose_play_fails_keeps_the_finalizer_and_is_retried(tmp_path):
    cr = a_widget(deletionTimestamp="now", finalizers=["example.org/finalizer"])
    bench = Bench(tmp_path, cr, FakeEngine(PlayResult(status="failed", rc=2)), finalizer=FINALIZER)

    bench.reconcile()

    assert bench.api.writes == []
    assert bench.next_pass(1.2) == ("retry 1",)


def test_manage_status_writes_conditions_once_and_not_again_for_the_same_result(tmp_path):
    bench = Bench(tmp_path, a_widget(), manage_status=True)

    for _ in range(3):
        bench.reconcile()
        bench.cr = bench.api.obj

    paths = [path for _, path, _ in bench.api.writes]
    assert paths == ["/apis/example.org/v1/namespaces/family/widgets/main/status"] * 2, "running, then finished"
    assert {entry["type"] for entry in bench.api.obj["status"]["conditions"]} == {"Running", "Failure", "Successful"}


def test_a_status_that_somebody_else_has_just_written_is_read_again(tmp_path):
    bench = Bench(tmp_path, a_widget(), manage_status=True)
    bench.api.conflicts = 1

    bench.reconcile()

    assert len(bench.api.writes) == 2


def test_a_crd_without_status_subresource_still_runs(tmp_path):
    bench = Bench(tmp_path, a_widget(), manage_status=True)

    def refuse(_method: str, path: str, _body: Manifest) -> Manifest:
        raise refusal(404, "NotFound", {}, path)

    bench.api.write = refuse  # type: ignore[method-assign]

    assert bench.reconcile() == "success"


def test_a_spec_that_no_variables_can_be_made_of_is_a_failed_pass_with_a_reason(tmp_path):
    bench = Bench(tmp_path, a_widget({"": 1}), manage_status=True)

    assert bench.reconcile() == "error"

    assert bench.engine.plays == []
    assert "spec holds an empty key" in bench.output.lines[-1]["error"]
    failure = next(entry for entry in bench.api.obj["status"]["conditions"] if entry["type"] == "Failure")
    assert (failure["status"], failure["message"][:24]) == ("True", "spec holds an empty key;")


REFUSED = {"configuration": {"__ansible_unsafe": "x"}}


def test_a_refused_resource_says_so_once_although_its_role_keeps_the_status(tmp_path):
    bench = Bench(tmp_path, a_widget(REFUSED, generation=3))
    bench.api.obj["status"] = {"ready": True, "conditions": [{"type": "Ready", "status": "True"}]}

    for _ in range(2):
        assert bench.reconcile() == "error"

    assert bench.engine.plays == []
    (status, event) = bench.api.writes
    assert status[2]["status"]["ready"] is False
    conditions = {entry.pop("type"): entry for entry in status[2]["status"]["conditions"]}
    message = (
        "no play was run: spec.configuration.__ansible_unsafe is a key that begins with __ansible, which is reserved; "
        "remove it"
    )
    expected = {"reason": "SpecInvalid", "message": message, "observedGeneration": 3}
    assert {"status": "False", **expected}.items() <= conditions["Ready"].items()
    assert {"status": "True", **expected}.items() <= conditions["Degraded"].items()
    assert event[:2] == ("POST", "/api/v1/namespaces/family/events")
    assert (event[2]["type"], event[2]["reason"], event[2]["message"]) == ("Warning", "SpecInvalid", message)
    assert event[2]["involvedObject"]["uid"] == "u1"


def test_a_refusal_that_the_role_does_not_replace_goes_with_the_next_pass(tmp_path):
    bench = Bench(tmp_path, a_widget(REFUSED))
    bench.api.obj["status"] = {"conditions": [{"type": "Mine", "status": "True"}]}
    bench.reconcile()
    bench.cr = bench.api.obj = {**bench.api.obj, "spec": {}}

    bench.reconcile()

    assert bench.api.obj["status"]["conditions"] == [{"type": "Mine", "status": "True"}]


def test_a_status_is_not_written_to_a_resource_created_again_under_the_same_name(tmp_path):
    bench = Bench(tmp_path, a_widget(REFUSED))
    bench.api.obj = a_widget(uid="u2")

    bench.reconcile()

    assert bench.api.writes == []


@pytest.mark.parametrize(
    "cr",
    [
        pytest.param({"metadata": {"name": "main", "namespace": "family"}, "spec": ["list"]}, id="spec-as-list"),
        pytest.param(
            {"metadata": {"name": "main", "annotations": ["x"], "labels": 5}, "status": "text"}, id="metadata"
        ),
        pytest.param({"metadata": {"name": "main", "creationTimestamp": 7, "finalizers": "x"}}, id="wrong-types"),
    ],
)
def test_a_resource_of_any_shape_gets_its_pass(cr, tmp_path):
    bench = Bench(tmp_path, cr, manage_status=True)

    assert bench.reconcile() == "success"


def test_a_fault_of_this_program_is_logged_counted_and_does_not_end_the_worker(tmp_path):
    def crash(play: Play) -> PlayResult:
        raise RuntimeError("a bug")

    bench = Bench(tmp_path, a_widget(), FakeEngine(crash, GOOD))
    workers = Workers(bench.queue, {KEY.controller: bench.controller}, bench.metrics, bench.controller._log)
    bench.queue.add(KEY, "created")
    bench.now += 0.1
    item = bench.queue.take()
    assert item is not None

    workers._pass(item)
    bench.queue.done(KEY)

    line = bench.output.lines[-1]
    assert (line["level"], line["msg"]) == ("ERROR", "pass ended by an internal error")
    assert b'controller_runtime_reconcile_panics_total{controller="widget-v1-controller"} 1.0' in exposition(
        bench.metrics
    )
    assert bench.next_pass(1.2) == ("retry 1",)


def exposition(metrics: Metrics) -> bytes:
    return generate_latest(metrics.registry)


def test_an_object_has_a_status_before_its_first_play_where_the_entry_asks_for_it(tmp_path):
    seen = []
    bench = Bench(tmp_path, a_widget(), announce=True)
    bench.engine = bench.controller._engine = FakeEngine(lambda _play: seen.append(bench.api.obj["status"]) or GOOD)

    bench.reconcile()

    assert {entry["type"]: entry["status"] for entry in seen[0]["conditions"]} == {"Ready": "Unknown"}
    assert [path for _method, path, _body in bench.api.writes] == [
        "/apis/example.org/v1/namespaces/family/widgets/main/status"
    ]


@pytest.mark.parametrize(
    ("announce", "status"),
    [(False, {}), (True, {"conditions": [{"type": "Ready", "status": "True"}]})],
    ids=["not-asked-for", "told-already"],
)
def test_an_object_is_not_announced_without_need(tmp_path, announce, status):
    bench = Bench(tmp_path, {**a_widget(), "status": status}, announce=announce)

    bench.reconcile()

    assert bench.api.writes == []


@pytest.mark.parametrize("name", ["..", "../../outside", "/etc", "", "."])
@pytest.mark.parametrize("where", ["name", "namespace"])
def test_no_name_leads_out_of_the_folder_whatever_the_api_server_says(name, where, tmp_path):
    root = tmp_path / "work" / "kind"
    for kept in (tmp_path / "outside", tmp_path / "work" / "other", root / "family" / "main"):
        (kept / "artifacts").mkdir(parents=True)
    bench = Bench(root, None)
    ref = NamespacedName("family", "gone")._replace(**{where: str(tmp_path / "outside") if name == "/etc" else name})

    outcome = bench.controller.reconcile(
        Item(Key(KEY.controller, ref), ("deleted",), 0.1), bench.queue, threading.Event()
    )

    assert outcome == "success"
    assert (tmp_path / "outside" / "artifacts").exists()
    assert (tmp_path / "work" / "other" / "artifacts").exists()
    assert (root / "family" / "main" / "artifacts").exists()


def test_what_is_behind_a_link_is_neither_removed_nor_looked_into(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "kind"
    (outside / "gone" / "env").mkdir(parents=True)
    (outside / "gone" / "env" / "extravars").write_text("theirs")
    (root / "family").mkdir(parents=True)
    (root / "linked").symlink_to(outside)
    (root / "family" / "gone").symlink_to(outside / "gone")
    bench = Bench(root, None)

    bench.controller.clean_up()
    bench.controller.sweep()

    assert (outside / "gone" / "env" / "extravars").read_text() == "theirs"


@pytest.mark.parametrize("identity_only", [True, False])
@pytest.mark.parametrize(
    "metadata",
    [
        {"name": "{{ lookup('pipe', 'id') }}"},
        {"name": "A"},
        {"name": "../x"},
        {"namespace": "{{ x }}"},
        {"uid": "{{ lookup('pipe', 'id') }}"},
    ],
)
def test_no_play_is_run_for_a_name_that_no_custom_resource_can_have(metadata, identity_only, tmp_path):
    bench = Bench(tmp_path, a_widget(**metadata), identity_only=identity_only)

    assert bench.reconcile() == "error"

    assert bench.engine.plays == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("identity_only", [True, False])
@pytest.mark.parametrize(
    ("spec", "why"),
    [
        pytest.param({"text": "x" * LARGEST}, "it has more than 512 KiB", id="large"),
        pytest.param(functools.reduce(lambda inner, _: [inner], range(9_000), 1), "spec is nested more", id="deep"),
    ],
)
def test_a_resource_that_is_not_fit_for_a_play_gets_none_and_a_status_that_says_why(spec, why, identity_only, tmp_path):
    bench = Bench(tmp_path, a_widget(spec), identity_only=identity_only)

    assert bench.reconcile() == "error"

    assert bench.engine.plays == []
    [stalled] = [entry for entry in bench.api.obj["status"]["conditions"] if entry["type"] == "Stalled"]
    assert stalled["message"].startswith(f"no play was run: {why}")
    assert bench.next_pass(0) == ()


def test_a_resource_that_has_grown_since_it_was_last_seen_gets_no_play(tmp_path):
    bench = Bench(tmp_path, a_widget())
    small = outline(bench.cr, bench.watch)
    bench.controller._read = lambda _ref: small
    bench.cr = a_widget({"text": "x" * LARGEST})

    assert bench.reconcile() == "error"
    assert bench.engine.plays == []


def test_the_finalizers_of_others_stay_when_ours_is_added(tmp_path):
    bench = Bench(tmp_path, a_widget(finalizers=["example.org/theirs"]), finalizer=Finalizer(name="example.org/ours"))

    bench.reconcile()

    assert bench.api.obj["metadata"]["finalizers"] == ["example.org/theirs", "example.org/ours"]


FULL = PlayResult(status="error", rc=None, failures=("play 1 could not be run",), problem="No space left; free space")
LATE = PlayResult(status="timeout", rc=254)


def events_of(bench: Bench) -> list[tuple[str, str]]:
    return [(body["reason"], body["message"]) for _, path, body in bench.api.writes if path.endswith("/events")]


def test_a_play_that_could_not_report_is_told_by_one_event_for_the_same_trouble(tmp_path):
    bench = Bench(tmp_path, a_widget(), FakeEngine(FULL, FULL, LATE, GOOD, FULL))

    for _ in range(5):
        bench.reconcile()

    again = ". What it is about is tried again until it succeeds"
    full = ("PassNotFinished", f"The operator could not run a pass: No space left; free space{again}")
    late = f"The pass took longer than the operator allows and was ended; see --play-timeout of the operator{again}"
    assert events_of(bench) == [full, ("PassNotFinished", late), full]


def test_an_event_that_could_not_be_posted_is_posted_after_the_next_play(tmp_path):
    bench = Bench(tmp_path, a_widget(), FakeEngine(FULL))
    bench.api.conflicts = 1

    bench.reconcile()
    bench.reconcile()

    assert len(events_of(bench)) == 1


@pytest.mark.parametrize("result", [GOOD, PlayResult(status="failed", rc=2), PlayResult(status="canceled", rc=254)])
def test_a_play_that_has_reported_or_was_not_wanted_any_more_gets_no_event(result, tmp_path):
    bench = Bench(tmp_path, a_widget(), FakeEngine(result))

    bench.reconcile()

    assert events_of(bench) == []


def test_where_the_runtime_keeps_the_status_its_condition_tells(tmp_path):
    bench = Bench(tmp_path, a_widget(), FakeEngine(LATE), manage_status=True)

    bench.reconcile()

    assert events_of(bench) == []
    assert bench.api.writes


def test_a_machine_that_can_run_no_play_is_told_until_one_has_run(tmp_path):
    bench = Bench(tmp_path, a_widget(), FakeEngine(FULL, GOOD))

    bench.reconcile()
    assert bench.controller.unable == "No space left; free space"

    bench.reconcile()
    assert bench.controller.unable == ""
