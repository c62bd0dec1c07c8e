# SPDX-License-Identifier: Apache-2.0
"""One pass over one custom resource: read it, run its play, report the outcome, decide when the next pass is due."""

from __future__ import annotations

import dataclasses
import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from immich_operator.config.options import Bounds, PassOptions, options_of
from immich_operator.config.watches import Watch
from immich_operator.engine.artifacts import Artifacts
from immich_operator.engine.base import Engine, Play, PlayResult
from immich_operator.engine.workspace import clean_up, folders, remove
from immich_operator.errors import EXPECTED, ParameterError
from immich_operator.kube.resources import Manifest, NamespacedName, is_deleting, labels_of, metadata_of
from immich_operator.passes.finalizers import Finalizers
from immich_operator.passes.metrics import Metrics
from immich_operator.passes.params import extra_vars
from immich_operator.passes.settled import SeenVersions, Settled
from immich_operator.passes.status import StatusWriter
from immich_operator.passes.throttle import Throttle
from immich_operator.passes.workqueue import Item
from immich_operator.watching.outline import UNFIT, unfit
from immich_operator.watching.triggers import Key

UNREPORTED_REASON: Final = "PassNotFinished"
CLUSTER_SCOPE: Final = "_cluster"  # folder of objects without a namespace; no namespace can have this name
Outcome = Literal["success", "requeue_after", "error"]  # labels of controller_runtime_reconcile_total


class Requeue(Protocol):
    """What a controller needs from the queue."""

    def schedule(self, key: Key, delay_s: float, reason: str) -> None: ...
    def retry(self, key: Key) -> float: ...
    def succeeded(self, key: Key) -> None: ...
    def forget(self, key: Key) -> None: ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PlaySettings:
    """What all plays of a controller have in common."""

    folder: Path  # of this kind; a custom resource has <folder>/<namespace>/<name>
    env: Mapping[str, str]
    period_s: float
    verbosity: int
    timeout_s: float
    bounds: Bounds
    ansible_args: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a controller acts with."""

    engine: Engine
    status: StatusWriter
    finalizers: Finalizers
    metrics: Metrics
    settled: Settled
    throttle: Throttle
    artifacts: Artifacts
    log: logging.Logger


class Controller:
    """Runs the passes of one entry of watches.yaml; `reconcile` may run in several threads for different keys."""

    def __init__(
        self,
        name: str,
        watch: Watch,
        *,
        read: Callable[[NamespacedName], Manifest | None],
        fetch: Callable[[Manifest], Manifest],
        plays: PlaySettings,
        tools: Tools,
    ) -> None:
        """`read` returns the outline of a custom resource as the cache has it, None if it is gone; `fetch` the whole of what
        is stored, or raises TransportError."""
        self.name = name
        self.watch = watch
        self._read = read
        self._fetch = fetch
        self._plays = plays
        self._engine = tools.engine
        self._status = tools.status
        self._finalizers = tools.finalizers
        self._metrics = tools.metrics
        self.settled = tools.settled
        self._throttle = tools.throttle
        self._artifacts = tools.artifacts
        self._told: dict[NamespacedName, tuple[str, ...]] = {}  # what annotations ask for and do not get
        self._slowed: set[NamespacedName] = set()
        self._unreported: dict[NamespacedName, str] = {}  # why the last play could not report itself
        self._log = tools.log
        self._unable: dict[NamespacedName, str] = {}  # why the last play could not be run on this machine

    def reconcile(self, item: Item[Key], queue: Requeue, cancel: threading.Event) -> Outcome:
        """One pass. A failure is reported here and leads to a retry; it is not raised.

        Raises: only for faults of this program.
        """
        key = item.key
        known = cr = self._read(key.ref)
        if known is None or cr is None:
            self._forget(key, queue)
            return "success"
        self._metrics.object_seen(self.watch.kind, key.ref, cr)
        if not self.watch.selector.matches(labels_of(cr)) or not self._finalizers.wants_pass(cr):
            queue.forget(key)
            return "success"
        pass_id = uuid.uuid4().hex[:12]
        options = options_of(
            cr, self.watch, period_s=self._plays.period_s, verbosity=self._plays.verbosity, bounds=self._plays.bounds
        )
        fields = self._fields(cr, key.ref, pass_id, item)
        if self.settled.holds(cr):
            self._log.debug("nothing has changed since the last pass", extra=fields)
            self._metrics.pass_skipped(self.watch.kind)
            queue.succeeded(key)
            if options.period_s:
                queue.schedule(key, options.period_s, "period")
            return "success"
        if (wait_s := self._throttle.take(key.ref)) > 0:
            return self._put_off(item, wait_s, queue, fields)
        self._slowed.discard(key.ref)
        self._tell(cr, key.ref, options.problems, fields)
        epoch = self.settled.forget(key.ref)  # until this pass has succeeded
        try:
            cr = self._finalizers.ensure(self._for_the_play(known))
            self._status.running(cr)
            play = self._play(cr, key.ref, pass_id, options)
            result = self._engine.run(play, cancel)
            self._artifacts.add(play.private_data_dir, play.ident)
            if result.ok() and is_deleting(cr):
                self._finalizers.release(cr)
            elif result.status != "canceled":
                self._status.finished(cr, result)
                self._report_for(cr, key.ref, result)
        except EXPECTED as exc:
            return self._could_not_run(cr, key, exc, queue, fields)
        self._metrics.play_finished(self.watch.kind, ok=result.ok(), took_s=result.duration_s)
        if result.ok() and result.requeue_after_s is None:
            self.settled.remember(known, SeenVersions.from_report(result.report), since=epoch)
        return self._requeue(key, result, options, queue, fields)

    @property
    def unable(self) -> str:
        """Why no play can be run on this machine, as far as the last ones tell; "" if one could."""
        return next(iter(self._unable.values()), "")

    def clean_up(self) -> None:
        """Remove what may be secret of plays that ran when an operator was killed. Call it before the first pass."""
        for folder in folders(self._plays.folder):
            try:
                clean_up(folder)
            except OSError as exc:
                self._log.warning("leftovers could not be removed", extra={"folder": str(folder), "error": str(exc)})
        self._artifacts.find(self._plays.folder)

    def sweep(self) -> None:
        """Forget the custom resources that were deleted while no operator was running, and remove their folders."""
        for ref in self.settled.digests():
            if self._read(ref) is None:
                self.settled.forget(ref)
        for folder in folders(self._plays.folder):
            namespace = "" if folder.parent.name == CLUSTER_SCOPE else folder.parent.name
            if self._read(NamespacedName(namespace, folder.name)) is None:
                self._remove(folder)

    def _tell(self, cr: Manifest, ref: NamespacedName, problems: tuple[str, ...], fields: Mapping[str, Any]) -> None:
        """What its annotations ask for and do not get: once, until they ask for something else."""
        if problems == self._told.get(ref, ()):
            return
        self._told[ref] = problems
        for problem in problems:
            self._log.warning("annotation not followed", extra={**fields, "error": problem})
            self._status.warn(cr, "AnnotationNotFollowed", problem)

    def _report_for(self, cr: Manifest, ref: NamespacedName, result: PlayResult) -> None:
        """A play that never began, or was ended, has told nobody: an Event does, once for the same trouble in a row."""
        if result.problem:
            self._unable[ref] = result.problem
        else:
            self._unable.clear()  # the machine can run plays again
        why = _without_report(result)
        if not why:
            self._unreported.pop(ref, None)
        elif why != self._unreported.get(ref) and not self.watch.manage_status:
            message = f"{why}. What it is about is tried again until it succeeds"
            if self._status.warn(cr, UNREPORTED_REASON, message):
                self._unreported[ref] = why

    def _put_off(self, item: Item[Key], wait_s: float, queue: Requeue, fields: Mapping[str, Any]) -> Outcome:
        """Its plays come too fast; the first time in a row is told."""
        ref = item.key.ref
        queue.schedule(item.key, wait_s, item.reasons[0] if item.reasons else "put off")
        self._log.log(
            logging.DEBUG if ref in self._slowed else logging.WARNING,
            "changes come faster than passes may follow; see --pass-burst",
            extra={**fields, "next_in_s": round(wait_s, 1)},
        )
        self._slowed.add(ref)
        return "requeue_after"

    def _remove(self, folder: Path) -> None:
        remove(folder, self._plays.folder)
        self._artifacts.remove(folder)

    def _forget(self, key: Key, queue: Requeue) -> None:
        """The custom resource is gone: leave nothing of it behind."""
        queue.forget(key)
        self.settled.forget(key.ref)
        self._metrics.object_gone(self.watch.kind, key.ref)
        self._told.pop(key.ref, None)
        self._unable.pop(key.ref, None)
        self._unreported.pop(key.ref, None)
        self._slowed.discard(key.ref)
        self._remove(self._folder(key.ref))
        self._log.info("gone", extra={"kind": self.watch.kind.kind, **key.ref._asdict()})

    def _for_the_play(self, known: Manifest) -> Manifest:
        """What the play is about: of an object that the role reads itself no more than `known`.

        Raises:
            ParameterError: it is not fit for a play.
            NotFound: it has just been deleted.
            TransportError: it cannot be read now.
        """
        if (why := known.get(UNFIT)) is not None:
            raise ParameterError(why)
        if self.watch.identity_only:
            return known
        whole = self._fetch(known)
        if why := unfit(whole, self.watch):
            raise ParameterError(why)
        return whole

    def _play(self, cr: Manifest, ref: NamespacedName, pass_id: str, options: PassOptions) -> Play:
        watch = self.watch
        role, playbook, static = watch.role, watch.playbook, dict(watch.vars)
        if is_deleting(cr) and (finalizer := watch.finalizer):
            static |= finalizer.vars
            if finalizer.role or finalizer.playbook:
                role, playbook = finalizer.role, finalizer.playbook
        return Play(
            ident=pass_id,
            private_data_dir=self._folder(ref),
            role=role,
            playbook=playbook,
            identity_only=watch.identity_only and not static,  # what the file's own `vars` say is checked
            extra_vars=extra_vars(
                cr,
                watch.kind,
                snake_case=watch.snake_case_parameters,
                unsafe=watch.mark_unsafe,
                identity_only=watch.identity_only,
                static=static,
            ),
            env=self._plays.env,
            verbosity=options.verbosity,
            timeout_s=self._plays.timeout_s,
            rotate_artifacts=options.artifacts,
            ansible_args=self._plays.ansible_args,
        )

    def _requeue(
        self, key: Key, result: PlayResult, options: PassOptions, queue: Requeue, fields: Mapping[str, Any]
    ) -> Outcome:
        fields = {
            **fields,
            "duration_s": round(result.duration_s, 3),
            "result": result.status,
            "changed": result.report.get("changed"),
        }
        if result.ok():
            queue.succeeded(key)
            if result.requeue_after_s is not None:
                queue.schedule(key, result.requeue_after_s, "requeue_after")
            elif options.period_s:
                queue.schedule(key, options.period_s, "period")
            self._log.info("pass finished", extra={**fields, "requeue_after_s": result.requeue_after_s})
            return "success" if result.requeue_after_s is None else "requeue_after"
        if result.status == "canceled":
            self._log.warning("pass canceled", extra=fields)
            return "error"
        retry_in_s = queue.retry(key)
        failures = list(result.failures) or [_without_failures(result)]
        self._log.error("pass failed", extra={**fields, "failures": failures, "retry_in_s": round(retry_in_s, 1)})
        return "error"

    def _could_not_run(
        self, cr: Manifest, key: Key, exc: Exception, queue: Requeue, fields: Mapping[str, Any]
    ) -> Outcome:
        if isinstance(exc, ParameterError):
            self._status.refused(cr, str(exc))
        retry_in_s = queue.retry(key)
        self._log.error(
            "pass failed", extra={**fields, "result": "error", "error": str(exc), "retry_in_s": round(retry_in_s, 1)}
        )
        return "error"

    def _folder(self, ref: NamespacedName) -> Path:
        return self._plays.folder / (ref.namespace or CLUSTER_SCOPE) / ref.name

    def _fields(self, cr: Manifest, ref: NamespacedName, pass_id: str, item: Item[Key]) -> dict[str, Any]:
        return {
            "kind": self.watch.kind.kind,
            **ref._asdict(),
            "uid": metadata_of(cr).get("uid"),
            "pass_id": pass_id,
            "why": list(item.reasons),
        }


def _without_report(result: PlayResult) -> str:
    """Why the play has not told anybody how it went; "" if its role could."""
    match result.status:
        case "timeout":
            return "The pass took longer than the operator allows and was ended; see --play-timeout of the operator"
        case "error" if result.problem:
            return f"The operator could not run a pass: {result.problem}"
        case "error":
            return "The pass ended before it could report; the operator's log says how"
        case _:
            return ""


def _without_failures(result: PlayResult) -> str:
    match result.status:
        case "timeout":
            return "the play took too long and was killed; see --play-timeout"
        case "error":
            return f"the play did not finish (exit status {result.rc}); its output is in the artifacts folder"
        case _:
            return f"the play ended with exit status {result.rc}"
