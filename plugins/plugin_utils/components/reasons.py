# SPDX-License-Identifier: Apache-2.0
"""Why a condition is as it is: the closed list, and the notices that carry a reason from planning to the status."""

from __future__ import annotations

from collections.abc import Container, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from ..spec.names import Component


class Reason(StrEnum):
    """docs/reference/conditions.md has a section for each, made from hack/docs/reasons.yaml: what it means and what to do."""

    # everything is fine
    ALL_COMPONENTS_READY = "AllComponentsReady"
    READY = "Ready"
    SCALED_TO_ZERO = "ScaledToZero"
    DISABLED = "Disabled"
    EXTERNAL = "External"
    AS_EXPECTED = "AsExpected"
    ROLLOUT_COMPLETE = "RolloutComplete"
    NO_WARNINGS = "NoWarnings"
    # it takes time
    COMPONENTS_NOT_READY = "ComponentsNotReady"
    WAITING_FOR_ROLLOUT = "WaitingForRollout"
    VOLUME_NOT_BOUND = "VolumeNotBound"
    # time may heal it; when it does not, somebody has to act
    VOLUME_NOT_PROVIDED = "VolumeNotProvided"
    VOLUME_NOT_ATTACHED = "VolumeNotAttached"
    VOLUME_NOT_MOUNTED = "VolumeNotMounted"
    NODE_LOST = "NodeLost"
    POD_EVICTED = "PodEvicted"
    POD_NOT_SET_UP = "PodNotSetUp"
    INIT_CONTAINER_WAITING = "InitContainerWaiting"
    PROBE_FAILING = "ProbeFailing"
    # somebody has to act
    BLOCKED = "Blocked"
    SPEC_INVALID = "SpecInvalid"
    IMAGE_NOT_CONFIGURED = "ImageNotConfigured"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason, not a password
    SECRET_KEY_NOT_FOUND = "SecretKeyNotFound"  # noqa: S105 - a reason, not a password
    CONFIG_MAP_NOT_FOUND = "ConfigMapNotFound"
    CLAIM_NOT_FOUND = "ClaimNotFound"
    STORAGE_CLASS_NOT_FOUND = "StorageClassNotFound"
    CREDENTIALS_LOST = "CredentialsLost"
    DATABASE_LOST = "DatabaseLost"
    LIBRARY_CLOSED = "LibraryClosed"
    LIBRARY_MISSING = "LibraryMissing"
    LIBRARY_IN_USE = "LibraryInUse"
    VOLUME_UNCLEAR = "VolumeUnclear"
    POSTGRES_MAJOR_DIFFERS = "PostgresMajorDiffers"
    CLAIM_BEING_DELETED = "ClaimBeingDeleted"
    VERSION_GOES_BACK = "VersionGoesBack"
    WAYPOINT_SKIPPED = "WaypointSkipped"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CRASH_LOOPING = "CrashLooping"
    CONTAINER_NOT_STARTED = "ContainerNotStarted"
    POD_UNSCHEDULABLE = "PodUnschedulable"
    POD_REFUSED = "PodRefused"
    VOLUME_LOST = "VolumeLost"
    APPLY_FAILED = "ApplyFailed"
    READ_FAILED = "ReadFailed"
    # it works, but check
    UNKNOWN_SETTING = "UnknownSetting"
    SECRET_IN_PLAIN_TEXT = "SecretInPlainText"  # noqa: S105 - a reason, not a password
    INVALID_SETTING = "InvalidSetting"
    SETTING_IGNORED = "SettingIgnored"
    VERSIONS_DIFFER = "VersionsDiffer"
    POSTGRES_END_OF_LIFE = "PostgresEndOfLife"
    VOLUME_NOT_CHANGED = "VolumeNotChanged"
    VOLUME_NOT_SHARED = "VolumeNotShared"
    LIBRARY_NOT_GUARDED = "LibraryNotGuarded"
    NOT_HARDENED = "NotHardened"
    SAFEGUARD_REMOVED = "SafeguardRemoved"
    CLAIM_IN_USE = "ClaimInUse"
    NOT_ADOPTED = "NotAdopted"
    PODS_NOT_OURS = "PodsNotOurs"
    ROUTE_UNAVAILABLE = "RouteUnavailable"
    HTTP_ROUTE_UNAVAILABLE = "HTTPRouteUnavailable"
    PRESET_INCOMPLETE = "PresetIncomplete"
    SERVICE_NOT_CHANGED = "ServiceNotChanged"
    NOT_AUTOSCALED = "NotAutoscaled"
    DISRUPTION_NOT_BOUNDED = "DisruptionNotBounded"
    EGRESS_INCOMPLETE = "EgressIncomplete"
    FIELD_REWRITTEN = "FieldRewritten"
    NOT_SERVED = "NotServed"
    NOT_OWNED = "NotOwned"


class Effect(StrEnum):
    """What a notice does to its component."""

    BLOCKS = "blocks"  # the component's objects are left as they are
    EXPLAINS = "explains"  # the objects are applied; if the component does not become ready, this is why
    WARNS = "warns"  # shown in the condition Warning, whether ready or not


class Notice(NamedTuple):
    """Something to tell the user. `message` names the object and what to do, and holds no secret value."""

    component: Component
    effect: Effect
    reason: Reason
    message: str
    retry: bool = False
    """True if nothing that is watched will show that it has been resolved, so the pass has to be tried again."""

    @classmethod
    def from_dict(cls, told: Mapping[str, Any], components: Container[str]) -> Notice:
        """The notice from which `as_dict` made `told`. ValueError if it has an effect, a reason or a component of none."""
        if told["component"] not in components:
            raise ValueError(f"{told['component']!r} is not a component")
        return cls(
            Component(told["component"]),
            Effect(told["effect"]),
            Reason(told["reason"]),
            told["message"],
            told["retry"],
        )

    def as_dict(self) -> dict[str, Any]:
        """{"component", "effect", "reason", "message", "retry"} of plain values, which travel from task to task."""
        return {
            "component": str(self.component),
            "effect": str(self.effect),
            "reason": str(self.reason),
            "message": self.message,
            "retry": self.retry,
        }
