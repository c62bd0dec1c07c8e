# SPDX-License-Identifier: Apache-2.0
"""What one entry of watches.yaml is connected to."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

from immich_operator.config.settings import Settings
from immich_operator.config.watches import Reference, Watch
from immich_operator.kube.resources import Kind, NamespacedName
from immich_operator.passes.controller import Controller
from immich_operator.passes.metrics import Metrics
from immich_operator.passes.settled import SeenVersions
from immich_operator.process.assembly import Shared, connect_watch
from immich_operator.watching.informers import Informers
from immich_operator.watching.reflector import Reflector
from immich_operator.watching.triggers import Key

WIDGET, SECRET = Kind("example.org/v1", "Widget"), Kind("v1", "Secret")
MAIN = NamespacedName("family", "main")


class Added(list[tuple[Key, str]]):
    def add(self, key: Key, reason: str, *, at_once: bool = False) -> None:  # noqa: ARG002
        self.append((key, reason))


def connected(*references: Reference) -> tuple[Controller, Informers, Added]:
    added, informers = Added(), Informers()
    settings = Settings()
    parts: dict[str, Any] = {
        "settings": settings,
        "objects": None,
        "engine": None,
        "artifacts": None,
        "metrics": Metrics(),
        "queue": added,
    }
    controller = connect_watch(
        Watch(kind=WIDGET, role=Path("/roles/widget"), references=references),
        "widget",
        Shared(
            **parts,
            environ={},
            informers=informers,
            log=logging.getLogger("test"),
            play_env={},
            play_folder=Path("/nowhere"),
            started=lambda: True,
        ),
    )
    return controller, informers, added


def a_widget(**spec: str) -> dict[str, Any]:
    metadata = {"namespace": "family", "name": "main", "uid": "u1", "generation": 1, "resourceVersion": "1"}
    return {"kind": "Widget", "metadata": metadata, "spec": spec}


def reflectors(informers: Informers) -> list[Reflector]:
    return informers.make(
        None,  # type: ignore[arg-type] # nothing is asked for
        stop=threading.Event(),
        log=logging.getLogger("test"),
        server="https://cluster.example.com",
        whose_role="your",
        on_attempt=lambda: None,
    )


def test_nothing_counts_as_settled_before_every_cache_can_be_relied_on(monkeypatch):
    controller, informers, _ = connected(Reference(SECRET, ("spec.secret",)))
    settled = controller.settled
    settled.remember(a_widget(secret="s"), SeenVersions({}, {"Secret/s": None}), since=settled.forget(MAIN))
    of_widgets, of_secrets = reflectors(informers)

    monkeypatch.setattr(of_widgets, "reliable", lambda: True)
    assert not settled.holds(a_widget(secret="s"))

    monkeypatch.setattr(of_secrets, "reliable", lambda: True)
    assert settled.holds(a_widget(secret="s"))


def test_a_kind_that_is_named_in_two_places_is_kept_and_reported_once():
    _, informers, added = connected(Reference(SECRET, ("spec.secret",)), Reference(SECRET, ("spec.other",)))
    of_widgets, of_secrets = reflectors(informers)
    of_widgets._sink.put(a_widget(secret="s", other="t"))
    added.clear()

    of_secrets._sink.put({"metadata": {"namespace": "family", "name": "s", "resourceVersion": "2"}})

    assert added == [(Key("widget", MAIN), "referenced Secret s created")]


def test_a_restored_older_state_voids_what_was_settled_and_gives_each_resource_a_pass(monkeypatch):
    """Its spec may have been changed since to another content of the same generation."""
    controller, informers, added = connected()
    settled = controller.settled
    [of_widgets] = reflectors(informers)
    of_widgets._sink.put(a_widget())
    settled.remember(a_widget(), SeenVersions({}, {}), since=settled.forget(MAIN))
    monkeypatch.setattr(of_widgets, "reliable", lambda: True)
    assert settled.holds(a_widget())
    added.clear()

    of_widgets._hooks.on_restored()

    assert not settled.holds(a_widget())
    assert added == [(Key("widget", MAIN), "older state restored")]
