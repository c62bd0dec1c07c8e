# SPDX-License-Identifier: Apache-2.0
"""Carry out the steps of a plan: stage by stage, in parallel within a stage, one outcome per step.

A failed step holds back the later stages of its own component, what has to come after that component, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias

from .api_error import ApiError, Conflict, Malformed, ObjectRef, TransportError, Unreachable
from .commands import Given, command
from .difference import differing_fields, needs_apply, without_nulls
from .ownership import hand_over, taken_from
from .refusals import advice
from .rewritten import is_due, left, marked
from .values import FIELD_MANAGER, Manifest, dig, merged

__all__ = ["VERBS", "InParallel", "Objects", "Outcome", "apply_steps", "explained", "misuse"]

Step: TypeAlias = Mapping[str, Any]
InParallel: TypeAlias = Callable[[Iterable[Callable[[], Any]]], list[Any]]
"""Calls all functions, perhaps at once, and returns their results in order."""

VERBS = {"apply": "object", "create": "object", "merge": "target", "delete": "target"}
"""What a step does, and the key under which it names its object."""

WITH_DATA = ("PersistentVolumeClaim", "StatefulSet")

IMMUTABLE = re.compile(
    r"immutable|may not be changed|cannot be changed|updates to \w+ spec for fields other than", re.IGNORECASE
)


class HeldBack(TransportError):  # noqa: N818 # reads as what is the case
    """An earlier step of the same component failed, so this one was not tried."""


class NameTaken(TransportError):  # noqa: N818 # reads as what is the case
    """There is an object of that name that is somebody else's."""


class Objects(Protocol):
    """Writes to the API server, and the read that settles a race."""

    def find(self, ref: ObjectRef) -> Manifest | None: ...
    def apply(self, manifest: Manifest, *, force: bool = True) -> Manifest: ...
    def would_apply(self, manifest: Manifest) -> Manifest: ...
    def create(self, manifest: Manifest) -> Manifest: ...
    def merge(self, ref: ObjectRef, patch: Mapping[str, Any]) -> Manifest: ...
    def delete(self, ref: ObjectRef, *, uid: str | None = None) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one step. `object` is the API server's answer, or the live object if nothing had to be done."""

    verb: str
    component: str | None
    ref: ObjectRef
    before: Manifest | None
    object: Manifest | None = None
    changed: bool = False
    error: TransportError | None = None
    rewritten: Sequence[str] = ()
    """The paths of the fields of which admission makes something else at each write."""

    def as_dict(self) -> dict[str, Any]:
        """The outcome as the action returns it."""
        return {
            "verb": self.verb,
            "component": self.component,
            "apiVersion": self.ref.api_version,
            "kind": self.ref.kind,
            "namespace": self.ref.namespace,
            "name": self.ref.name,
            "changed": self.changed,
            "error": explained(self.error, self.ref) if self.error else None,
            "status_code": self.error.status_code if isinstance(self.error, ApiError) else None,
            "object": self.object,
            "rewritten": list(self.rewritten),
        }


def misuse(steps: Sequence[Any]) -> str | None:
    """What is wrong with the steps themselves, or None. Checked before the first request is sent."""
    for position, step in enumerate(steps):
        where = f"steps[{position}]"
        verb = step.get("verb") if isinstance(step, Mapping) else None
        if verb not in VERBS:
            return f"{where}.verb must be one of {', '.join(VERBS)}, not {verb!r}"
        subject = step.get(VERBS[verb])
        if not isinstance(subject, Mapping):
            return f"{where}.{VERBS[verb]} must be a mapping"
        ref = ObjectRef.of(subject)
        if not (ref.api_version and ref.kind and ref.name):
            return f"{where}.{VERBS[verb]} must have apiVersion, kind and a name"
        if verb == "merge" and not isinstance(step.get("patch"), Mapping):
            return f"{where}.patch must be a mapping"
        if not isinstance(step.get("stage", 0), int):
            return f"{where}.stage must be a number"
        if not isinstance(step.get("after", []), list):
            return f"{where}.after must be a list of components"
    return None


def apply_steps(  # noqa: PLR0913 # all but four have defaults
    steps: Sequence[Step],
    live: Iterable[Manifest] | None,
    *,
    objects_for: Callable[[ObjectRef], Objects],
    in_parallel: InParallel,
    field_manager: str = FIELD_MANAGER,
    dry_run: bool = False,
    earlier: Iterable[Mapping[str, Any]] = (),
    now: float = 0.0,
) -> list[Outcome]:
    """One outcome per step, in the order of the steps.

    `live` are the objects as they were read in this pass; None makes each step read its own. A refusal is an
    outcome; Unreachable or Malformed is raised only when no step at all got an answer.

    An object that `live` lacks is looked up before it is applied for the first time: what somebody else has made
    under its name is not overwritten (`ownership.taken_from`), also when it is made between the look and the write.

    `dry_run` says that `objects_for` writes nothing. The API server then judges each step by what is stored and not by
    what the steps before it would have made of that. A refusal of an object that an earlier step changes is taken for
    this, because such a step is there to make the later one possible.

    `earlier` are what steps of the same plan came to before: `Outcome.as_dict` with the `stage` of the step. They hold
    back what they would have held back in the same call.

    `now`, in seconds since the epoch, is when `live` was read. Without it, what admission has rewritten is left as it is.
    """
    known = None if live is None else {_identity(ObjectRef.of(item)): item for item in live}
    outcomes: dict[int, Outcome] = {}
    prepared: set[tuple[str, str, str]] = set()
    failed_earlier: list[tuple[int, str, ObjectRef]] = []
    for result in earlier:
        ref = ObjectRef(result["apiVersion"], result["kind"], result["name"], result["namespace"])
        if result["error"]:
            failed_earlier.append((result["stage"], result["component"], ref))
        elif known is not None:
            _remember(known, ref, result["object"])
        if dry_run and result["changed"]:
            prepared.add(_identity(ref))
    for stage in sorted({step.get("stage", 0) for step in steps}):
        failed = {component: ref for before, component, ref in failed_earlier if before < stage}
        failed |= {
            outcome.component: outcome.ref for outcome in outcomes.values() if outcome.component and outcome.error
        }
        positions = []
        for position, step in enumerate(steps):
            needed = [str(step.get("component")), *step.get("after", ())]
            cause = next((failed[component] for component in needed if component in failed), None)
            if step.get("stage", 0) == stage and cause:
                outcomes[position] = _held_back(step, cause)
            elif step.get("stage", 0) == stage:
                positions.append(position)
        work = [
            partial(_carry_out, steps[position], known, objects_for, field_manager, prepared, now)
            for position in positions
        ]
        outcomes.update(zip(positions, in_parallel(work), strict=True))
        if dry_run:
            prepared |= {_identity(outcomes[position].ref) for position in positions if outcomes[position].changed}
        for outcome in (outcomes[position] for position in positions):
            if known is not None and outcome.error is None:
                _remember(known, outcome.ref, outcome.object)
    errors = [outcome.error for outcome in outcomes.values()]
    unreachable = [error for error in errors if isinstance(error, Unreachable | Malformed)]
    if unreachable and all(isinstance(error, Unreachable | Malformed | HeldBack) for error in errors):
        raise unreachable[0]
    return [outcomes[position] for position in range(len(steps))]


def _held_back(step: Step, cause: ObjectRef) -> Outcome:
    ref = ObjectRef.of(step[VERBS[step["verb"]]])
    error = HeldBack(f"{ref}: left as it is, because {cause} could not be written")
    return Outcome(verb=step["verb"], component=step["component"], ref=ref, before=None, error=error)


def _remember(known: dict[tuple[str, str, str], Manifest], ref: ObjectRef, left: Manifest | None) -> None:
    """A later stage starts from what an earlier one left behind, None where that was a deletion."""
    if left is None:
        known.pop(_identity(ref), None)
    else:
        known[_identity(ref)] = left


def _carry_out(
    step: Step,
    known: Mapping[tuple[str, str, str], Manifest] | None,
    objects_for: Callable[[ObjectRef], Objects],
    field_manager: str,
    prepared: Container[tuple[str, str, str]],
    now: float,
) -> Outcome:
    verb, component = step["verb"], step.get("component")
    subject = step[VERBS[verb]]
    ref = ObjectRef.of(subject)
    before = None if known is None else known.get(_identity(ref))
    try:
        if (known is None and verb != "delete") or (before is None and verb == "apply"):
            before = objects_for(ref).find(ref)
        if known is not None and verb == "apply":
            _refuse_what_is_taken(ref, before, subject)
        if verb == "apply":
            return _apply(without_nulls(subject), component, partial(objects_for, ref), ref, before, field_manager, now)
        written, changed = _write(step, partial(objects_for, ref), ref, before)
    except TransportError as exc:
        if verb == "apply" and _identity(ref) in prepared and isinstance(exc, ApiError) and exc.status_code == 422:
            after = merged(before or {}, without_nulls(subject))
            return Outcome(verb=verb, component=component, ref=ref, before=before, object=after, changed=True)
        return Outcome(verb=verb, component=component, ref=ref, before=before, object=before, error=exc)
    return Outcome(verb=verb, component=component, ref=ref, before=before, object=written, changed=changed)


def _apply(
    wanted: Manifest,
    component: str | None,
    objects: Callable[[], Objects],
    ref: ObjectRef,
    before: Manifest | None,
    field_manager: str,
    now: float,
) -> Outcome:
    outcome = partial(Outcome, verb="apply", component=component, ref=ref, before=before)
    if not needs_apply(wanted, before, field_manager=field_manager):
        return outcome(object=before)
    if before is not None and (rewritten := left(wanted, before, field_manager=field_manager)):
        is_due_again = is_due(before, now, field_manager=field_manager)
        if not is_due_again or _is_still_rewritten(objects(), wanted, rewritten):
            return outcome(object=before, rewritten=list(rewritten))
    after = _applied(objects(), wanted, ref, before)
    if needs_apply(wanted, after, field_manager=field_manager):
        # Where the last field of a structure was given up, the API server has removed all of it at first.
        after = objects().apply(wanted)
    rewritten = differing_fields(wanted, after) if needs_apply(wanted, after, field_manager=field_manager) else {}
    if rewritten:
        after = objects().apply(marked(wanted, rewritten))
    return outcome(object=after, changed=_is_changed(before, after), rewritten=list(rewritten))


def _is_still_rewritten(objects: Objects, wanted: Manifest, rewritten: Mapping[str, Any]) -> bool:
    """True if admission would make the same of it again, or does not tell."""
    try:
        return differing_fields(wanted, objects.would_apply(wanted)) == rewritten
    except ApiError:  # some webhooks refuse what is not to be stored
        return True


def _write(
    step: Step, objects: Callable[[], Objects], ref: ObjectRef, before: Manifest | None
) -> tuple[Manifest | None, bool]:
    """(the object afterwards, whether the API server changed anything). The client is made only if it is needed."""
    if step["verb"] == "create":
        if before is not None:
            return before, False
        try:
            return objects().create(without_nulls(step["object"])), True
        except Conflict:
            if (theirs := objects().find(ref)) is None:
                raise
            if step.get("alone"):
                raise NameTaken(f"{ref} was made by somebody else in the meantime; the next pass reads it") from None
            return theirs, False
    if step["verb"] == "merge":
        after = objects().merge(ref, step["patch"])
        return after, _is_changed(before, after)
    return None, objects().delete(ref, uid=step["target"].get("uid"))


def _applied(objects: Objects, wanted: Manifest, ref: ObjectRef, before: Manifest | None) -> Manifest:
    """The object after the apply, if need be without what others have put into its spec.

    Apply leaves other managers' list items alone. Some conflict with ours: after an edit of a Service's port number there
    would be two ports of the same name. If the API server refuses the result, our lists replace the existing ones.
    """
    try:
        return _applied_to_what_was_seen(objects, wanted, ref, before)
    except ApiError as exc:
        if exc.status_code != 422 or before is None or "spec" not in wanted or IMMUTABLE.search(exc.message):
            raise
        try:
            objects.merge(ref, {"spec": wanted["spec"]})
        except ApiError:
            raise exc from None  # the object is refused as such, which the first answer says better
        return objects.apply(wanted)


def _applied_to_what_was_seen(objects: Objects, wanted: Manifest, ref: ObjectRef, before: Manifest | None) -> Manifest:
    """The object after the apply, which takes nothing over from an object that has come in the meantime.

    Nothing is forced on one that was not there: each field that somebody else has set by now, such as a label, is a conflict.
    The uid makes the API server refuse it for one that has replaced the one that was read. Then it is looked at once more.
    If there is none, it is made again, unless it has data or makes volume claims: what became of these, the next pass judges.
    """
    uid = dig(before, "metadata", "uid")
    meant = {**wanted, "metadata": {**wanted["metadata"], "uid": uid}} if uid else wanted
    try:
        return objects.apply(meant, force=before is not None)
    except ApiError as exc:
        is_of_another = exc.status_code == 409 or "metadata.uid" in exc.fields  # which "is immutable": a 422
        now = objects.find(ref) if is_of_another else None
        if is_of_another and uid and now is None and ref.kind not in WITH_DATA:
            return objects.apply(wanted, force=False)
        if now is None or dig(now, "metadata", "uid") == uid:
            raise
        _refuse_what_is_taken(ref, now, wanted)
        return objects.apply(wanted)


def _refuse_what_is_taken(ref: ObjectRef, live: Manifest | None, wanted: Manifest) -> None:
    because = taken_from(live, wanted) if live is not None else None
    if because:
        to_hand_over = hand_over(ref.kind, ref.namespace, ref.name, wanted["metadata"]["labels"])
        raise NameTaken(
            f"{ref} already exists and was created by somebody else ({because}), so it is left as it is; remove it, or give "
            f"the Immich another name. To hand it over, after its former owner has let go of it, run {to_hand_over}"
        )


def _is_changed(before: Manifest | None, after: Manifest) -> bool:
    """By what the API server answers. A dry run keeps the version, so the content has to tell."""
    if before is None or before["metadata"].get("resourceVersion") != after["metadata"].get("resourceVersion"):
        return True
    return _content(before) != _content(after)


def _content(manifest: Manifest) -> Manifest:
    unstable = ("managedFields", "resourceVersion", "generation")
    metadata = {key: value for key, value in manifest["metadata"].items() if key not in unstable}
    return {**manifest, "metadata": metadata}


def _identity(ref: ObjectRef) -> tuple[str, str, str]:
    return ref.kind, ref.namespace, ref.name


def explained(error: TransportError, ref: ObjectRef) -> str:
    """The error with what to do about it, where that is known."""
    remedy = _remedy(error, ref) if isinstance(error, ApiError) else None
    return f"{str(error).rstrip('.')}. {remedy}" if remedy else str(error)


def _remedy(error: ApiError, ref: ObjectRef) -> str | None:
    if error.status_code == 422 and IMMUTABLE.search(error.message):
        field = ", ".join(error.fields) or "The field"
        if ref.kind == "PersistentVolumeClaim":
            return f"{field} of a volume claim can't change: set it back in the custom resource"
        place = ("-n", Given(ref.namespace, "NAMESPACE")) if ref.namespace else ()
        keep = ("--cascade=orphan",) if ref.kind in ("StatefulSet", "Deployment") else ()
        delete = command("kubectl", "delete", ref.kind.lower(), Given(ref.name, "NAME"), *place, *keep)
        return f"{field} of a live {ref.kind} cannot change: set it back, or run {delete} and it is created again"
    if error.status_code == 409 and error.reason == "Conflict":
        return "It was replaced or changed since it was read; the next pass reads it again"
    if error.status_code == 409:
        return "It is still being deleted; the next pass creates it again"
    return advice(error.message, ref.namespace)
