# SPDX-License-Identifier: Apache-2.0
"""What an engine is given, what it gives back, and what every engine promises."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

__all__ = ["Engine", "Play", "PlayResult", "Status"]

Status = Literal["successful", "failed", "timeout", "canceled", "error"]
"""`error`: the play could not be run, or its process ended without Ansible's doing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One run of a role or a playbook against localhost; `repr` leaves out what may hold secrets.

    `extra_vars` is JSON-able; strings that are data are already marked as `{"__ansible_unsafe": text}`.
    Raises ValueError unless exactly one of `role` and `playbook` is given.
    """

    ident: str
    """Name of the artifacts folder, unique per run of one private data dir."""
    private_data_dir: Path
    """Kept between the runs of one custom resource, for one play at a time; made with mode 0700, removed by the caller."""
    role: Path | None = None
    """Folder of the role; its parent becomes the roles path."""
    playbook: Path | None = None
    """File of the playbook."""
    identity_only: bool = False
    """The extra vars only identify the object that the role is about. Nothing in its files may depend on them: its argument
    spec is not checked, and an engine may load it once for many plays."""
    extra_vars: Mapping[str, Any] = field(default_factory=dict, repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Added to the operator's own environment for this run."""
    verbosity: int = 0
    """Number of -v."""
    timeout_s: float = 600.0
    """The process group of the play is killed after this time."""
    rotate_artifacts: int = 3
    """Artifacts folders kept, this run's included; 0 keeps all."""
    ansible_args: str = ""
    """Additional command line arguments for ansible-playbook, in shell notation; no secrets."""

    def __post_init__(self) -> None:
        if (self.role is None) == (self.playbook is None):
            raise ValueError(f"play {self.ident}: give exactly one of role and playbook")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayResult:
    """The outcome of a play; free of values that `no_log` hides."""

    status: Status
    rc: int | None
    """Exit status of ansible-playbook; None if it never started, 254 after a timeout or a cancel."""
    stats: Mapping[str, int] | None = None
    """ok, changed, skipped, failures, rescued, ignored of localhost; None if the play did not finish."""
    failures: tuple[str, ...] = ()
    """`task name: message` of each failed task that was neither ignored nor rescued."""
    requeue_after_s: float | None = None
    """Request of a requeue_after task or a report: seconds until the next pass, whatever the reconcile period is."""
    report: Mapping[str, Any] = field(default_factory=dict)
    """The `report` mappings of successful tasks: lists joined, mappings merged, the last one of other values."""
    duration_s: float = 0.0
    problem: str = ""
    """Why it could not be run on this machine, with what to do; the same words as long as it is the same trouble."""

    def ok(self) -> bool:
        """True if the play finished and nothing failed."""
        return self.status == "successful"


class Engine(Protocol):
    """Runs plays. All methods may be called from any thread."""

    def run(self, play: Play, cancel: threading.Event) -> PlayResult:
        """Run `play` and return when it has ended.

        Setting `cancel` kills the play with everything in its process group, as does the end of its time.
        The play's problems are in the result; raises only on misuse.
        """

    def close(self) -> None:
        """Release what the engine holds. Call it when no play is running; later calls do nothing."""
