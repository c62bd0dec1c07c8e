# SPDX-License-Identifier: Apache-2.0
"""All that reads what others wrote: one function of bytes each, which raises only where a parser breaks its word."""

from __future__ import annotations

import base64
import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import yaml

from ansible_collections.media.immich.plugins.plugin_utils.components import (
    configuration,
    database_folder,
    library_user,
)
from ansible_collections.media.immich.plugins.plugin_utils.components.expansion import filled_in, names_in
from ansible_collections.media.immich.plugins.plugin_utils.kube import decoding, refusals, timestamps
from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import TransportError
from ansible_collections.media.immich.plugins.plugin_utils.kube.commands import Given, command
from ansible_collections.media.immich.plugins.plugin_utils.kube.quantities import quantity_value
from ansible_collections.media.immich.plugins.plugin_utils.kube.values import in_one_line, visible
from ansible_collections.media.immich.plugins.plugin_utils.kube.watch_stream import WatchStream
from ansible_collections.media.immich.plugins.plugin_utils.spec import crd, custom_resources, images, immich_settings
from immich_operator.config import durations, options, watches
from immich_operator.engine.outcome import Outcome
from immich_operator.errors import WatchesError
from immich_operator.kube.label_selectors import Selector
from immich_operator.kube.resources import ref_of
from immich_operator.process import memory
from immich_operator.watching.outline import outline, unfit

__all__ = ["PARSERS", "Parser"]


class Parser(NamedTuple):
    """Something that reads what others wrote."""

    reads: Callable[[bytes], object]
    seeds: tuple[str, ...]
    words: tuple[str, ...] = ()
    """What mutations may be made of."""


class _Dice:
    """JSON-like values in bytes: which ones, the bytes decide. All of it works without any of them left."""

    def __init__(self, data: bytes, words: tuple[str, ...]) -> None:
        self._bytes, self._words = iter(data), words

    def number(self, below: int) -> int:
        return next(self._bytes, 0) % below

    def text(self) -> str:
        which = self.number(8)
        if which < 5 and self._words:
            return self._words[self.number(len(self._words))]
        raw = bytes(self.number(256) for _unused in range(self.number(12)))
        return raw.decode(errors="surrogateescape" if which == 7 else "replace")

    def value(self, levels: int = 5) -> Any:
        match self.number(10 if levels else 6):
            case 0:
                return None
            case 1:
                return bool(self.number(2))
            case 2:
                return (self.number(256) - 128) * 10 ** self.number(30)
            case 3:
                return self.number(256) * 10.0 ** (self.number(256) - 100)
            case 4 | 5:
                return self.text()
            case 6:
                return [self.value(levels - 1) for _unused in range(self.number(5))]
            case _:
                return self.mapping(levels - 1)

    def mapping(self, levels: int = 5) -> dict[str, Any]:
        return {self.text(): self.value(levels) for _unused in range(self.number(6))}


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _duration(data: bytes) -> None:
    try:
        seconds = durations.parse(_text(data))
    except ValueError:
        return
    assert 0 <= seconds <= durations.LONGEST_S
    durations.text(seconds)


def _quantity(data: bytes) -> None:
    value = quantity_value(_text(data))
    assert value is None or (value > 1) is not (value <= 1)


_FOLDER = Path(tempfile.mkdtemp(prefix="immich-operator-fuzz-"))


def _watches(data: bytes) -> None:
    file = _FOLDER / "watches.yaml"
    file.write_bytes(data)
    try:
        watches.without_effect(watches.load(file, {"HOME": "x"}))
    except WatchesError as error:
        assert str(error)


def _watch_stream(data: bytes) -> None:
    cuts = data[:1]
    size = max(1, cuts[0] if cuts else 1)
    chunks = [data[start : start + size] for start in range(1, len(data), size)]
    response = SimpleNamespace(stream=lambda *_, **__: iter(chunks), close=lambda: None)
    try:
        for event in WatchStream(response, "Immich"):
            assert isinstance(event["type"], str)
            ref_of(event["object"])
    except TransportError as error:
        assert str(error)


_WATCH = watches.Watch(kind=watches.Kind("media.rm3l.org/v1alpha1", "Immich"))
_BOUNDS = options.Bounds(min_period_s=1.0, max_verbosity=4, max_artifacts=20)
_OBJECT_WORDS = (
    "metadata", "name", "namespace", "annotations", "labels", "generation", "uid", "status", "conditions", "type", "spec",
    "ownerReferences", "kind", "apiVersion", "controller", "deletionTimestamp", "resourceVersion", "photos", "family",
    "ansible.sdk.operatorframework.io/reconcile-period", "ansible.sdk.operatorframework.io/verbosity", "5m", "7", "-1",
)  # fmt: skip


def _object(data: bytes) -> None:
    cr = _Dice(data, _OBJECT_WORDS).mapping()
    ref_of(cr)
    options.options_of(cr, _WATCH, period_s=60.0, verbosity=0, bounds=_BOUNDS)
    if ref_of(cr):
        unfit(cr, _WATCH)
        outline(cr, _WATCH)


def _json(data: bytes) -> None:
    for levels in (0, 3):
        with contextlib.suppress(ValueError):
            decoding.decoded(data, levels=levels)


_EVENT_WORDS = (
    "event", "event_data", "res", "msg", "results", "censored", "report", "requeue_after", "period", "task", "stdout",
    "task_uuid", "task_action", "runner_on_failed", "runner_on_ok", "runner_item_on_failed", "playbook_on_stats", "error",
    "ok", "failures", "rescued", "localhost", "ignore_errors", "resolved_action", "operator_sdk.util.requeue_after", "15s",
)  # fmt: skip
_KINDS = ("runner_on_failed", "runner_on_ok", "runner_item_on_failed", "runner_on_unreachable", "runner_retry",
          "playbook_on_stats", "error", "verbose", "runner_on_async_failed")  # fmt: skip


def _runner_events(data: bytes) -> None:
    dice, outcome = _Dice(data, _EVENT_WORDS), Outcome()
    for _unused in range(1 + dice.number(4)):
        event = dice.mapping() | {
            "event": _KINDS[dice.number(len(_KINDS))],
            "event_data": dice.mapping(),
            "stdout": dice.text(),
        }
        outcome.on_event(event)
    outcome.add_output(dice.text())
    result = outcome.result("failed", 2, 1.0)
    assert all(isinstance(failure, str) for failure in result.failures)


_SETTING_WORDS = (
    "ffmpeg", "crf", "job", "concurrency", "thumbnailGeneration", "notifications", "smtp", "transport", "oauth",
    "clientSecret", "clientSecretRef", "passwordSecretRef", "name", "key", "enabled", "url", "urls", "machineLearning",
    "server", "externalDomain", "storageTemplate", "template", "backup", "database", "cronExpression", "0 02 * * *",
    "https://photos.example.com", "http://[::1]:3003", "true", "1e3", "0x10", "trash", "days", "nightlyTasks", "startTime",
    "23:59", "logging", "level", "verbose", "accel", "library", "scan", "watch", "image", "preview", "format", "size",
)  # fmt: skip


def _settings(data: bytes) -> None:
    settings = _Dice(data, _SETTING_WORDS).mapping()
    for release in (None, (3, 1), (2, 0)):
        for finding in immich_settings.check_settings(settings, release):
            assert str(finding)
    immich_settings.converted(settings)
    configuration.with_machine_learning_urls(settings)


def _configuration_text(data: bytes) -> None:
    settings = json.loads(json.dumps(_Dice(data, _SETTING_WORDS).mapping()).encode("utf-8", "replace"))
    if not any("\ud800" <= character <= "\udfff" for character in json.dumps(settings, ensure_ascii=False)):
        assert yaml.safe_load(configuration.as_yaml(settings)) == settings


def _images(data: bytes) -> None:
    image = _text(data)
    version = images.known_version(image)
    assert all(isinstance(part, int) for part in version)
    assert images.version_of(image) == "" or images.release_of(image) == version[:2]
    images.is_older(version, (3, 1, 0))
    images.postgres_major(image)


def _settled(data: bytes) -> None:
    for found in memory._parsed(_text(data)).values():
        for digest in found.values():
            digest.has_expired(1e9)
    memory._key_of({"data": {"key": _text(data)}})
    memory._key_of({"data": {"key": base64.b64encode(data).decode()}})
    memory._key_of({"data": _Dice(data, ("key",)).value()})


def _yaml(data: bytes) -> None:
    try:
        crd.documents(_text(data))
    except yaml.YAMLError as error:
        assert str(error)


def _resource_text(data: bytes) -> None:
    try:
        custom_resources.completed(custom_resources.from_text(_text(data)))
    except custom_resources.Unusable as error:
        assert str(error)


_POD_WORDS = ("spec", "status", "initContainers", "initContainerStatuses", "name", "look-at-volume", "look-at-library",
              "state", "lastState", "terminated", "message", "exitCode", "env", "PGDATA", "value", "image",
              "found\nat pgdata\nmajor 17\nprogram 14", "empty", "securityContext", "runAsUser", "library 999:999")  # fmt: skip


def _looks(data: bytes) -> None:
    for name in ("look-at-volume", "look-at-library"):
        for state in ("state", "lastState"):
            said = {
                "name": name,
                state: {"terminated": {"exitCode": data[:1][0] if data else 0, "message": _text(data[1:])}},
            }
            pod = {"spec": {"initContainers": [{"name": name}]}, "status": {"initContainerStatuses": [said]}}
            database_folder.look_of(pod)
            library_user.look_of(pod)


def _selectors(data: bytes) -> None:
    words = (
        "matchLabels",
        "matchExpressions",
        "key",
        "operator",
        "values",
        "In",
        "NotIn",
        "Exists",
        "DoesNotExist",
        "a",
    )
    dice = _Dice(data, words)
    try:
        Selector.from_manifest(dice.mapping()).matches({dice.text(): dice.text() for _unused in range(3)})
    except ValueError as error:
        assert str(error)


def _texts(data: bytes) -> None:
    """Those that end up in messages."""
    text = _text(data)
    assert visible(text).isprintable() and in_one_line(text).isprintable()
    refusals.advice(text, "family")
    refusals.readable(text)
    timestamps.seconds_of(text)
    command("kubectl", "delete", Given(text, "NAME"))
    names_in(text)
    filled_in(text, {"A": "b"})


WATCHES = """\
- version: v1alpha1
  group: media.rm3l.org
  kind: Immich
  role: $HOME/roles/immich
  reconcilePeriod: 1h30m
  selector: {matchLabels: {a: b}, matchExpressions: [{key: a, operator: In, values: [x]}]}
  finalizer: {name: media.rm3l.org/finalizer, vars: {a: 1}}
  dependents: {selector: a=b, kinds: [{apiVersion: apps/v1, kind: Deployment, optional: true}]}
  references: [{apiVersion: v1, kind: Secret, paths: ["spec.a[].b"], names: ["{name}-x"]}]
"""
A_RESOURCE = """\
apiVersion: media.rm3l.org/v1alpha1
kind: Immich
metadata: {name: photos}
spec:
  server: {replicas: 2, image: "x:v1", env: [{name: TZ, value: UTC}]}
  immich: &a {configuration: {oauth: {enabled: true}}}
"""
EVENTS = 'A{"type":"ADDED","object":{"kind":"Immich","metadata":{"name":"a","namespace":"b","uid":"c"}}}\n'
GONE = '9{"type":"ERROR","object":{"code":410,"reason":"Gone","message":"too old"}}\n'

PARSERS = {
    "durations": Parser(_duration, ("1h30m", "300ms", "0", "1.5s", "-2µs"), ("h", "ms", ".", "9")),
    "quantities": Parser(_quantity, ("10Gi", "500m", "1e3", ".5", "+1E-9"), ("Gi", "e", "E+", "0.", "n")),
    "watches.yaml": Parser(
        _watches, (WATCHES, "[]", "- {}"), ("version", "kind", "role", "selector", ": ", "- ", "&a", "*a")
    ),
    "watch stream": Parser(
        _watch_stream, (EVENTS, GONE, EVENTS + GONE[1:]), ('"type"', '"object"', "{", "}", "[", "ERROR")
    ),
    "JSON": Parser(
        _json, ('{"a":[1,{"b":null}]}', "[" * 40, '"\\ud800"', "1e400", "9" * 500), ("[", "]", "{", "}", '"', "\\")
    ),
    "objects": Parser(_object, ("\x08\x05metadata", "abcdefgh" * 8)),
    "events of ansible-runner": Parser(_runner_events, ("\x01\x02\x03" * 20, "runner" * 12)),
    "Immich's settings": Parser(_settings, ("\x05\x00\x01\x08" * 20, "settings" * 10)),
    "the text of the settings": Parser(_configuration_text, ("\x05\x00\x01\x08" * 20, "\x07\x07é" * 30)),
    "images": Parser(
        _images,
        ("ghcr.io/immich-app/immich-server:v3.1.0", "pg@sha256:0", "r:5000/p:0.8.1-pg17"),
        (":", "v", ".", "pg"),
    ),
    "the settled object": Parser(
        _settled, ('{"immich":{"a/b":["0123456789abcdef01234567",1]}}', "{}"), ('"', "[", "/", "1e999")
    ),
    "YAML": Parser(
        _yaml,
        (A_RESOURCE, "a: &a [*a]", "- !!int x", "<<: {a: 1}", "1:2:3", "0o7"),
        ("!!", "&a", "*a", "<<", "? ", "|", ">"),
    ),
    "the text of a resource": Parser(
        _resource_text, (A_RESOURCE, "kind: Immich"), ("spec", "metadata", "null", "[]", "{}")
    ),
    "looks of pods": Parser(
        _looks,
        ("\x01found\nat pgdata\nhas x\nuser 999\nmajor 17\nprogram 14\nmore 1", "0empty"),
        ("\n", "at ", "major "),
    ),
    "selectors": Parser(_selectors, ("\x03\x00\x00\x08\x01" * 6, "select" * 9)),
    "texts in messages": Parser(
        _texts,
        ('pods "x" is forbidden: Invalid value: "y": no', "2026-01-01T00:00:00Z", "$(A)$$"),
        ('"', ": ", "\u202e", "\x1b["),
    ),
}
