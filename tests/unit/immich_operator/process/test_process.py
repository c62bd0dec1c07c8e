# SPDX-License-Identifier: Apache-2.0
"""What holds the process together: log lines, supervised threads, probes, private folders, connection."""

import errno
import io
import json
import logging
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
from kubernetes.client.configuration import Configuration

from immich_operator.config.settings import Settings
from immich_operator.config.watches import Watch
from immich_operator.errors import Misconfigured, SettingsError
from immich_operator.kube import connection
from immich_operator.kube.resources import Kind
from immich_operator.passes.metrics import Metrics
from immich_operator.process import logs as log_lines
from immich_operator.process import runtime
from immich_operator.process.assembly import controller_names
from immich_operator.process.endpoints import metrics_page
from immich_operator.process.runtime import private_folder
from immich_operator.process.supervisor import Supervisor


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_is_json_with_a_sentence_and_fields_whatever_their_names():
    out = io.StringIO()

    log_lines.set_up("info", "auto", out).info("pass finished", extra={"name": "photos", "thread": 1, "none": None})

    line = json.loads(out.getvalue())
    assert {key: line[key] for key in ("level", "msg", "name", "thread")} == {
        "level": "info", "msg": "pass finished", "name": "photos", "thread": 1,
    }  # fmt: skip
    assert "none" not in line
    assert line["ts"].endswith("Z")


def test_a_terminal_gets_text():
    out = Terminal()

    log_lines.set_up("info", "auto", out).warning(
        "pass failed", extra={"why": ["created", "retry 1"], "error": "two words"}
    )

    assert 'pass failed  why=[created, retry 1]  error="two words"' in out.getvalue()


def crash() -> None:
    raise RuntimeError("a bug")


def test_a_traceback_is_part_of_the_line():
    out = io.StringIO()
    log = log_lines.set_up("info", "json", out)

    try:
        crash()
    except RuntimeError:
        log.exception("thread failed")

    assert "RuntimeError: a bug" in json.loads(out.getvalue())["traceback"]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("é" * 1_000_000, id="text"),
        pytest.param(["x" * 100_000] * 10_000, id="list"),
        pytest.param((["x" * 100_000] * 10,) * 3, id="lists"),
        pytest.param({f"k{number}": "x" * 100_000 for number in range(10_000)}, id="mapping"),
        pytest.param({"a": {"b": {"c": "x" * 1_000_000}}}, id="mappings"),
        pytest.param([[["x" * 1000] * 100] * 100] * 100, id="nested-lists"),
        pytest.param({"k" * 1_000_000: 1}, id="long-key"),
        pytest.param(Path("x" * 1_000_000), id="anything"),
        pytest.param(10**5000, id="number-of-many-digits"),
        pytest.param([float("inf"), float("nan")], id="no-numbers-in-json"),
    ],
)
@pytest.mark.parametrize("format_", ["json", "text"])
def test_a_line_has_a_bounded_length_whatever_a_field_holds(value, format_):
    out = io.StringIO()

    log_lines.set_up("info", format_, out).error("pass failed", extra={"failures": value, "name": "photos"})

    assert 0 < len(out.getvalue().encode()) < 150_000
    assert "photos" in out.getvalue()
    assert format_ == "text" or json.loads(out.getvalue(), parse_constant=pytest.fail)


def test_of_many_items_the_first_are_shown_and_the_others_counted():
    out = io.StringIO()

    log_lines.set_up("info", "json", out).info("pass finished", extra={"changed": [str(n) for n in range(400)]})

    shown = json.loads(out.getvalue())["changed"]
    assert (shown[0], shown[-1], len(shown)) == ("0", "and 350 more", 51)


HOSTILE = "a\x1b[2J\x9b\u202e\u2028\U000e0041\r\n12:00:01.234 ERROR  forged  pass_id=1"


def raises(text: str) -> None:
    raise RuntimeError(text)


def test_a_line_of_json_shows_others_texts_as_escapes_and_holds_them_as_they_were():
    out = io.StringIO()

    log_lines.set_up("info", "json", out).info("read", extra={"error": HOSTILE})

    assert out.getvalue().isascii()
    assert len(out.getvalue().splitlines()) == 1
    assert json.loads(out.getvalue())["error"] == HOSTILE


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param({"error": HOSTILE}, id="field"),
        pytest.param({"failures": [HOSTILE]}, id="list"),
        pytest.param({HOSTILE: "x"}, id="name-of-a-field"),
        pytest.param({"a": "x\u2028y"}, id="without-blanks"),
    ],
)
def test_a_line_of_text_stays_one_line_and_no_text_in_it_controls_a_terminal(extra):
    out = io.StringIO()

    log_lines.set_up("info", "text", out).info(HOSTILE, extra=extra)

    [line] = out.getvalue().splitlines()
    assert line.isprintable()


def test_a_text_in_quotes_cannot_end_them():
    out = io.StringIO()

    log_lines.set_up("info", "text", out).info("read", extra={"error": 'a"  level="fine'})

    assert out.getvalue().rstrip().endswith('error="a\\"  level=\\"fine"')


def test_no_line_of_a_traceback_looks_like_one_of_the_log():
    out = io.StringIO()
    log = log_lines.set_up("info", "text", out)

    try:
        raises(HOSTILE)
    except RuntimeError:
        log.exception("thread failed")

    first, *others = out.getvalue().splitlines()
    assert "thread failed" in first
    assert any("RuntimeError: a" in line for line in others)
    assert all(line.startswith("    ") and line.isprintable() for line in others)


def test_the_level_keeps_detail_away():
    out = io.StringIO()

    log_lines.set_up("warning", "json", out).info("detail")

    assert out.getvalue() == ""


def waits_for(event: threading.Event) -> None:
    event.wait(5)


def a_supervisor() -> tuple[Supervisor, threading.Event]:
    stop = threading.Event()
    return Supervisor(stop, logging.Logger("test", logging.CRITICAL + 1)), stop


def test_a_thread_that_fails_stops_everything_and_is_the_reason():
    supervisor, stop = a_supervisor()

    supervisor.start("reflect", crash)

    assert stop.wait(5)
    assert supervisor.join(5) == []
    assert str(supervisor.failure) == "thread 'reflect' failed: RuntimeError: a bug"
    assert supervisor.dead() == ["reflect"]


def test_a_thread_that_ends_early_stops_everything():
    supervisor, stop = a_supervisor()

    supervisor.start("reflect", lambda: None)

    assert stop.wait(5)
    assert str(supervisor.failure) == "thread 'reflect' ended although the operator is running"


def test_a_thread_that_may_end_is_forgotten_when_it_has():
    supervisor, stop = a_supervisor()
    done = threading.Event()

    supervisor.start("begin", done.set, ends=True)

    assert done.wait(5)
    assert supervisor.join(5) == []
    assert (supervisor.dead(), supervisor.failure, stop.is_set()) == ([], None, False)


def test_a_thread_that_is_being_started_is_neither_dead_nor_impossible_to_wait_for(monkeypatch):
    supervisor, stop = a_supervisor()
    asked, go, start = threading.Event(), threading.Event(), threading.Thread.start

    def late(thread):
        if thread.name == "worker 1":
            asked.set()
            go.wait(5)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", late)
    starter = threading.Thread(target=supervisor.start, args=("worker 1", partial(waits_for, stop)))
    starter.start()
    assert asked.wait(5)
    seen = []
    looker = threading.Thread(target=lambda: seen.extend([supervisor.join(0, prefix="worker"), supervisor.dead()]))
    looker.start()

    go.set()
    looker.join(5)
    starter.join(5)

    assert seen in ([["worker 1"], []], [[], []]), "not yet there, or running"
    stop.set()
    assert supervisor.join(5) == []


def test_threads_that_end_after_a_stop_are_no_failure():
    supervisor, stop = a_supervisor()
    supervisor.start("reflect", partial(waits_for, stop))

    stop.set()

    assert supervisor.join(5) == []
    assert supervisor.failure is None


def test_joining_names_who_does_not_end():
    supervisor, stop = a_supervisor()
    release = threading.Event()
    supervisor.start("worker 1", partial(waits_for, release))
    supervisor.start("reflect", partial(waits_for, release))
    stop.set()

    assert supervisor.join(0.01, prefix="worker") == ["worker 1"]

    release.set()
    assert supervisor.join(5) == []


def test_metrics_are_served_from_their_own_registry():
    page = metrics_page(Metrics().registry)()

    assert page.status == 200
    assert b"ansible_operator_build_info" in page.body


def test_two_operators_may_live_in_one_process():
    first, second = Metrics(), Metrics()
    first.queue("passes").added()

    assert first.registry.get_sample_value("workqueue_adds_total", {"name": "passes"}) == 1
    assert second.registry.get_sample_value("workqueue_adds_total", {"name": "passes"}) is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_run_folder_on_a_full_or_closed_volume_is_one_line_with_what_to_do(number, monkeypatch, tmp_path):
    def refused(*_args: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number), str(tmp_path))

    monkeypatch.setattr(runtime, "make_engine", refused)

    with pytest.raises(
        SettingsError, match=f"--run-dir: {tmp_path} cannot be written to .*{os.strerror(number)}.*free space"
    ):
        runtime._engine(Settings(), (), tmp_path, 1, logging.getLogger("test"))


def test_the_run_folder_is_private(tmp_path):
    folder = private_folder(tmp_path / "run")

    assert folder.stat().st_mode & 0o777 == 0o700
    assert private_folder(tmp_path / "run") == folder, "a second start uses it again"


def test_a_run_folder_that_others_could_enter_is_refused(tmp_path):
    private_folder(tmp_path).chmod(0o755)

    with pytest.raises(SettingsError, match="is not a folder that only this user can enter; remove it"):
        private_folder(tmp_path)


def test_a_run_folder_that_is_a_link_is_refused(tmp_path):
    folder = private_folder(tmp_path)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(SettingsError, match="remove it"):
        private_folder(tmp_path)


def test_inside_a_cluster_the_play_gets_a_private_kubeconfig_that_copies_no_token(tmp_path):
    inside = connection.Connection(Configuration(host="https://10.96.0.1:443"), None, None)

    env = connection.play_environment(inside, tmp_path)

    path = Path(env["KUBECONFIG"])
    document = json.loads(path.read_text())
    assert env == {"KUBECONFIG": str(path), "K8S_AUTH_KUBECONFIG": str(path)}
    assert path.stat().st_mode & 0o777 == 0o600
    assert document["users"][0]["user"] == {"tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"}
    assert document["clusters"][0]["cluster"]["server"] == "https://10.96.0.1:443"


def test_outside_a_cluster_the_play_gets_the_same_file(tmp_path):
    outside = connection.Connection(Configuration(), None, "/home/me/config")

    assert connection.play_environment(outside, tmp_path)["K8S_AUTH_KUBECONFIG"] == "/home/me/config"
    assert list(tmp_path.iterdir()) == []


def test_the_play_whose_folder_is_another_gets_whole_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outside = connection.Connection(Configuration(), None, os.pathsep.join(["config", "/etc/other"]))

    assert connection.play_environment(outside, tmp_path)["KUBECONFIG"] == f"{tmp_path}/config{os.pathsep}/etc/other"


KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://cluster.example.com:6443"}}]
users: [{name: u, user: {token: secret}}]
contexts: [{name: home, context: {cluster: c, user: u}}, {name: work, context: {cluster: c, user: u}}]
current-context: home
"""


@pytest.mark.parametrize(("chosen", "context"), [("", "home"), ("work", "work")], ids=["current", "chosen"])
def test_the_cluster_is_described_by_address_and_context_without_any_secret(tmp_path, chosen, context):
    file = tmp_path / "config"
    file.write_text(KUBECONFIG)

    told = connection.described(connection.connect(str(file), chosen, {}), chosen)

    assert told == {"server": "https://cluster.example.com:6443", "context": context, "kubeconfig": str(file)}


def test_a_context_that_is_not_the_current_one_is_told_to_the_play_too(tmp_path):
    outside = connection.Connection(Configuration(), None, "/home/me/config")

    env = connection.play_environment(outside, tmp_path, "home")

    first, second = env["KUBECONFIG"].split(os.pathsep)
    assert (env["K8S_AUTH_KUBECONFIG"], env["K8S_AUTH_CONTEXT"], second) == (
        "/home/me/config",
        "home",
        "/home/me/config",
    )
    assert json.loads(Path(first).read_text()) == {"apiVersion": "v1", "kind": "Config", "current-context": "home"}


def test_without_any_configuration_it_says_what_to_set(tmp_path):
    with pytest.raises(Misconfigured, match=r"no usable connection .* in .*/none: .*Set KUBECONFIG or --kubeconfig"):
        connection.connect(str(tmp_path / "none"), "", {})


OF_SOMEBODY = """\
apiVersion: v1
kind: Config
clusters: [{name: home, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: me, user: {client-certificate: /nowhere/me.crt, client-key: /nowhere/me.key}}]
contexts: [{name: home, context: {cluster: home, user: me}}, {name: away, context: {cluster: gone, user: me}}]
current-context: home
"""


@pytest.mark.parametrize(
    ("content", "context", "reason"),
    [
        pytest.param(None, "", "there is no such file", id="no-file"),
        pytest.param(b"", "", "is empty", id="empty"),
        pytest.param(b"\xff\xfe", "", "it is not a kubeconfig", id="not-text"),
        pytest.param(b"clusters: [", "", "it is not YAML, line ", id="not-yaml"),
        pytest.param(b"[]", "", "it is not a kubeconfig", id="a-list"),
        pytest.param(b"apiVersion: v1", "", "it has no current-context", id="nothing-in-it"),
        pytest.param(
            OF_SOMEBODY.replace("current-context: home", 'current-context: ""').encode(), "",
            "it has no current context; choose one with `kubectl config use-context`", id="no-context-chosen",
        ),
        pytest.param(OF_SOMEBODY.encode(), "work", "it has no context work", id="another-context"),
        pytest.param(OF_SOMEBODY.encode(), "away", "it has no cluster gone", id="a-context-without-its-cluster"),
        pytest.param(OF_SOMEBODY.encode(), "", "File does not exist: /nowhere/me.crt", id="a-certificate-that-is-gone"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_kubeconfig_is_said_in_words_for_people(tmp_path, content, context, reason):
    file = tmp_path / "config"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(Misconfigured) as caught:
        connection.connect(str(file), context, {})

    said = str(caught.value)
    assert said.startswith(f"no usable connection to a Kubernetes API server in {file}: ")
    assert f"{reason}" in said
    assert said.endswith(". Set KUBECONFIG or --kubeconfig, or run inside a cluster.")
    assert ".." not in said


def test_controllers_have_the_names_of_the_operator_sdk_and_the_group_only_when_needed():
    def names(*kinds: tuple[str, str]) -> list[str]:
        return controller_names([Watch(kind=Kind(*kind), role=Path("/r")) for kind in kinds])

    assert names(("a.org/v1", "Widget")) == ["widget-v1-controller"]
    assert names(("a.org/v1", "Widget"), ("b.org/v1", "Widget")) == [
        "widget-a.org-v1-controller",
        "widget-b.org-v1-controller",
    ]


INTERRUPTED = """
import faulthandler, logging, os, signal, sys, threading
from immich_operator.process import runtime

class Operator:
    def __init__(self, _settings, _environ, _log, stop):
        self.stop = stop

    def run(self):
        {interrupt}
        return 0 if self.stop.wait(10) else 1

    def in_the_middle_of_a_wait(self):
        with self.stop._cond:  # as every `stop.wait()` does, for an instant
            os.kill(os.getpid(), signal.SIGTERM)

    def where_it_does_not_wake_up(self):
        while not self.stop._cond._waiters:
            pass
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

faulthandler.dump_traceback_later(20, exit=True)
runtime.Operator = Operator
sys.exit(runtime.run(None, {}, logging.getLogger()))
"""


@pytest.mark.parametrize(
    "interrupt",
    [
        pytest.param("self.in_the_middle_of_a_wait()", id="while-it-holds-a-lock"),
        pytest.param(
            "threading.Thread(target=self.where_it_does_not_wake_up, daemon=True).start()", id="without-waking-it"
        ),
    ],
)
def test_a_signal_is_heard_at_whatever_place_it_finds_the_main_thread(interrupt):
    program = INTERRUPTED.replace("{interrupt}", interrupt)

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
