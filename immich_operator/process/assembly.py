# SPDX-License-Identifier: Apache-2.0
"""Connects one entry of watches.yaml: caches -> triggers -> queue -> controller."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from immich_operator.config.options import Bounds, verbosity_for
from immich_operator.config.settings import Settings
from immich_operator.config.watches import Watch
from immich_operator.engine import Engine
from immich_operator.engine.artifacts import Artifacts
from immich_operator.kube.client import ApiObjects, ObjectRef
from immich_operator.kube.resources import Kind, Manifest, NamespacedName, labels_of
from immich_operator.passes.controller import Controller, PlaySettings, Tools
from immich_operator.passes.finalizers import Finalizers
from immich_operator.passes.metrics import Metrics
from immich_operator.passes.settled import Settled
from immich_operator.passes.status import StatusWriter
from immich_operator.passes.throttle import Throttle
from immich_operator.passes.workqueue import Queue
from immich_operator.watching.cache import Change, Store, Trace, resource_version
from immich_operator.watching.informers import Informers
from immich_operator.watching.outline import outline
from immich_operator.watching.reflector import Scope
from immich_operator.watching.triggers import Key, Triggers, bare_trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all controllers of a process share."""

    settings: Settings
    environ: Mapping[str, str]
    objects: ApiObjects
    engine: Engine
    artifacts: Artifacts
    queue: Queue[Key]
    informers: Informers
    metrics: Metrics
    log: logging.Logger
    play_env: Mapping[str, str]
    play_folder: Path
    started: Callable[[], bool]


def controller_names(watches: Sequence[Watch]) -> list[str]:
    """`<kind>-<version>-controller`, as the Operator SDK names them; the group is added where that is ambiguous."""
    short = [f"{watch.kind.kind}-{watch.kind.version}-controller".lower() for watch in watches]
    counts = Counter(short)
    return [
        name if counts[name] == 1 else f"{watch.kind.kind}-{watch.kind.group}-{watch.kind.version}-controller".lower()
        for name, watch in zip(short, watches, strict=True)
    ]


def connect_watch(watch: Watch, name: str, shared: Shared) -> Controller:
    """Subscribe to everything that the entry needs, and create its controller."""
    namespaces: Sequence[str | None] = shared.settings.watch_namespaces or (None,)
    stores: list[Store[Manifest]] = []
    references: dict[Kind, list[Store[Trace]]] = {reference.kind: [] for reference in watch.references}

    def read(ref: NamespacedName) -> Manifest | None:
        return next((found for store in stores if (found := store.get(ref)) is not None), None)

    def reference_version(kind: Kind, ref: NamespacedName) -> str | None:
        return next((trace.resource_version for store in references[kind] if (trace := store.get(ref))), None)

    settled = Settled(watch, reference_version, reliable=shared.informers.reliable)
    triggers = Triggers(
        watch,
        name,
        shared.queue,
        exists=lambda ref: read(ref) is not None,
        all_refs=lambda: [ref for store in stores for ref in store.refs()],
        started=shared.started,
    )
    # What was settled is forgotten before the passes begin that find out.
    shared.informers.when_restored(settled.restored)
    shared.informers.when_restored(triggers.restored)
    shared.metrics.conditions_of(
        watch.kind,
        lambda: [
            found
            for store in stores
            for ref in store.refs()
            if (found := store.get(ref)) is not None and watch.selector.matches(labels_of(found))
        ],
    )
    for namespace in namespaces:
        store = Store(partial(outline, watch=watch), resource_version, triggers.primary)
        stores.append(store)
        shared.informers.subscribe(Scope(kind=watch.kind, namespace=namespace, metadata_only=False), store)
        _subscribe_dependents(watch, triggers, settled, namespace, shared.informers)
        for kind, known in references.items():
            named = Store(bare_trace, _version, _for_kind(triggers.referenced, kind))
            known.append(named)
            shared.informers.subscribe(Scope(kind=kind, namespace=namespace), named)
    return _controller(watch, name, read, settled, shared)


def _subscribe_dependents(
    watch: Watch, triggers: Triggers, settled: Settled, namespace: str | None, informers: Informers
) -> None:
    def on_api(scope: Scope, served: bool) -> None:
        settled.api(scope.kind, served)
        triggers.api(scope, served)

    def listener(kind: Kind) -> Callable[[Change[Trace]], None]:
        def tell(change: Change[Trace]) -> None:
            settled.dependent(kind, change)
            triggers.dependent(kind, change)

        return tell

    for dependent in watch.dependents.kinds:
        scope = Scope(
            kind=dependent.kind,
            namespace=namespace,
            selector=watch.dependents.selector,
            optional=dependent.optional,
        )
        store = Store(triggers.trace, _version, listener(dependent.kind))
        informers.subscribe(scope, store, on_api if dependent.optional else None)


def _controller(
    watch: Watch, name: str, read: Callable[[NamespacedName], Manifest | None], settled: Settled, shared: Shared
) -> Controller:
    settings, kind = shared.settings, watch.kind
    return Controller(
        name,
        watch,
        read=read,
        fetch=lambda known: shared.objects.get(ObjectRef.of(known)),
        plays=PlaySettings(
            folder=shared.play_folder / (kind.group or "core") / kind.version / kind.kind,
            env=shared.play_env,
            period_s=settings.reconcile_period,
            verbosity=verbosity_for(kind, shared.environ, settings.ansible_verbosity),
            timeout_s=settings.play_timeout,
            bounds=Bounds(
                min_period_s=settings.min_reconcile_period,
                max_verbosity=settings.max_verbosity,
                max_artifacts=settings.max_runner_artifacts,
            ),
            ansible_args=settings.ansible_args,
        ),
        tools=Tools(
            engine=shared.engine,
            status=StatusWriter(watch, shared.objects, shared.log),
            finalizers=Finalizers(watch, shared.objects),
            metrics=shared.metrics,
            settled=settled,
            throttle=Throttle(burst=settings.pass_burst, interval_s=settings.pass_interval),
            artifacts=shared.artifacts,
            log=shared.log,
        ),
    )


def _for_kind(listener: Callable[[Kind, Change[Trace]], None], kind: Kind) -> Callable[[Change[Trace]], None]:
    return lambda change: listener(kind, change)


def _version(trace: Trace) -> str:
    return trace.resource_version
