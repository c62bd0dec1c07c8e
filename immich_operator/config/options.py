# SPDX-License-Identifier: Apache-2.0
"""What one custom resource may set for its own passes, by annotations, over watches.yaml, environment and flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from immich_operator.config import durations
from immich_operator.config.watches import Watch
from immich_operator.kube.resources import Kind, Manifest, annotations_of

PREFIX: Final = "ansible.sdk.operatorframework.io/"
MAX_VERBOSITY: Final = 7
LONGEST_NUMBER: Final = 9  # characters; Python refuses to read thousands of digits
SHOWN: Final = 40  # characters of an annotation that is refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much an annotation may ask for; what the administrator sets for all resources is never out of bounds."""

    min_period_s: float
    max_verbosity: int
    max_artifacts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOptions:
    """`period_s` 0 = no periodic pass; `problems` are annotations that could not be used, or not as they are."""

    period_s: float
    verbosity: int
    artifacts: int
    problems: tuple[str, ...] = ()


def options_of(cr: Manifest, watch: Watch, *, period_s: float, verbosity: int, bounds: Bounds) -> PassOptions:
    """Annotation, then watches.yaml, then what is given.

    Whoever may write a resource may ask for less load than the administrator has set, and for more within `bounds`. A
    value beyond them is replaced by the bound, one that cannot be read is ignored; either is among the problems.
    """
    annotations = annotations_of(cr)
    problems: list[str] = []

    def number(name: str, default: int, most: int, flag: str, *, unlimited: int | None = None) -> int:
        text = annotations.get(PREFIX + name)
        if text is None:
            return default
        if not (isinstance(text, str) and len(text) <= LONGEST_NUMBER and text.strip().isdecimal()):
            problems.append(f"annotation {PREFIX}{name}: {str(text)[:SHOWN]!r} is not a whole number below 10^9")
            return default
        most = max(most, default)
        if int(text) > most or int(text) == unlimited:
            problems.append(f"annotation {PREFIX}{name}: {text!r} is more than {flag} allows, so it is {most}")
            return most
        return int(text)

    def period(default_s: float) -> float:
        if (text := annotations.get(PREFIX + "reconcile-period")) is None:
            return default_s
        try:
            wished_s = durations.parse(str(text))
        except ValueError as exc:
            problems.append(f"annotation {PREFIX}reconcile-period: {exc}")
            return default_s
        least_s = min(bounds.min_period_s, default_s or bounds.min_period_s)
        if 0 < wished_s < least_s:
            problems.append(
                f"annotation {PREFIX}reconcile-period: {text!r} is shorter than --min-reconcile-period allows, "
                f"so it is {durations.text(least_s)}"
            )
            return least_s
        return wished_s

    return PassOptions(
        period_s=period(period_s if watch.reconcile_period_s is None else watch.reconcile_period_s),
        verbosity=number("verbosity", min(verbosity, MAX_VERBOSITY), bounds.max_verbosity, "--max-verbosity"),
        artifacts=number(
            "max-runner-artifacts",
            watch.max_runner_artifacts,
            bounds.max_artifacts,
            "--max-runner-artifacts",
            unlimited=0,
        ),
        problems=tuple(problems),
    )


def workers_for(kind: Kind, environ: Mapping[str, str], default: int) -> int:
    """MAX_CONCURRENT_RECONCILES_<KIND>_<GROUP>, or WORKER_<KIND>_<GROUP>; anything but a positive number is the default."""
    for prefix in ("MAX_CONCURRENT_RECONCILES", "WORKER"):
        text = environ.get(_variable(prefix, kind), "")
        if text.isdecimal() and int(text):
            return int(text)
    return default


def verbosity_for(kind: Kind, environ: Mapping[str, str], default: int) -> int:
    """ANSIBLE_VERBOSITY_<KIND>_<GROUP>, upper case, dots as underscores; anything but 0 to 7 leaves the default."""
    text = environ.get(_variable("ANSIBLE_VERBOSITY", kind), "")
    return int(text) if text.isdecimal() and int(text) <= MAX_VERBOSITY else default


def _variable(prefix: str, kind: Kind) -> str:
    return f"{prefix}_{kind.kind}_{kind.group}".replace(".", "_").upper()
