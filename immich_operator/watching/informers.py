# SPDX-License-Identifier: Apache-2.0
"""The reflectors of a whole process: one per scope, however many entries of watches.yaml need it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Container, Sequence

from immich_operator.kube.client import ApiObjects
from immich_operator.kube.resources import Manifest, NamespacedName
from immich_operator.watching.cache import each
from immich_operator.watching.outage import Outage
from immich_operator.watching.reflector import Hooks, Reflector, Scope, Sink, Timing, Tools

OnApi = Callable[[Scope, bool], None]


class Fanout:
    """A sink that passes everything on to several others; what one of them raises comes after all have had it."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    def put(self, obj: Manifest) -> None:
        each(self._sinks, lambda sink: sink.put(obj))

    def remove(self, obj: Manifest) -> None:
        each(self._sinks, lambda sink: sink.remove(obj))

    def retain(self, refs: Container[NamespacedName]) -> None:
        each(self._sinks, lambda sink: sink.retain(refs))


class Informers:
    """Collects who wants what, then makes the reflectors."""

    def __init__(self) -> None:
        self._wanted: dict[Scope, list[tuple[Sink, OnApi | None]]] = {}
        self._at_restore: list[Callable[[], None]] = []
        self._reflectors: list[Reflector] = []
        self._outage: Outage | None = None

    def subscribe(self, scope: Scope, sink: Sink, on_api: OnApi | None = None) -> None:
        """Before `make`."""
        self._wanted.setdefault(scope, []).append((sink, on_api))

    def when_restored(self, listener: Callable[[], None]) -> None:
        """Call it whenever one of them has found that the API server was restored to an older state."""
        self._at_restore.append(listener)

    def make(
        self,
        objects: ApiObjects,
        *,
        stop: threading.Event,
        log: logging.Logger,
        server: str,
        whose_role: str,
        on_attempt: Callable[[], None],
        timing: Timing | None = None,
    ) -> list[Reflector]:
        """The reflectors, to be run by threads of their own.

        For messages: `server` is the address of the API server, `whose_role` as in `reflector.Tools`.
        """
        self._outage = Outage(server, log)
        tools = Tools(
            objects=objects,
            stop=stop,
            log=log,
            outage=self._outage,
            whose_role=whose_role,
            timing=timing or Timing(),
        )
        for scope, wanted in self._wanted.items():
            listeners = [on_api for _, on_api in wanted if on_api is not None]
            hooks = Hooks(
                on_api=_tell_all(listeners),
                on_attempt=on_attempt,
                on_restored=lambda: each(self._at_restore, lambda listener: listener()),
            )
            self._reflectors.append(Reflector(scope, Fanout([sink for sink, _ in wanted]), tools, hooks))
        return self._reflectors

    def attempted(self) -> bool:
        """Whether each first list has succeeded or failed."""
        return all(reflector.attempted() for reflector in self._reflectors)

    def problems(self) -> list[str]:
        """Why the caches cannot be relied on; empty if they can."""
        return [problem for reflector in self._reflectors if (problem := reflector.problem()) is not None]

    def is_cut_off(self) -> bool:
        """Whether the API server can't be reached at this moment, which has been logged."""
        return self._outage is not None and self._outage.is_on()

    def reliable(self) -> bool:
        """Whether the caches follow the cluster at this moment; `problems` only reports failures that last."""
        return all(reflector.reliable() for reflector in self._reflectors)

    def wake(self) -> None:
        """Make all reflectors notice a stop."""
        for reflector in self._reflectors:
            reflector.wake()


def _tell_all(listeners: Sequence[OnApi]) -> OnApi:
    def tell(scope: Scope, served: bool) -> None:
        for listener in listeners:
            listener(scope, served)

    return tell
