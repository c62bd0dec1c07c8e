# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, worded for the person at the terminal.

LocalClusterError
├── ProgramError     a program can be neither found nor built
├── NodeError        the machine cannot run a real node, or a step of it failed
├── ComponentError   a process died or did not become ready
├── ApiError         the API server refused a request
├── KubectlError     kubectl failed
└── WaitError        something awaited did not happen
"""

from pathlib import Path

__all__ = ["ApiError", "ComponentError", "KubectlError", "LocalClusterError", "NodeError", "ProgramError", "WaitError"]


class LocalClusterError(Exception):
    """Root of all errors of this package; its text says where, what, and what to do."""


class ProgramError(LocalClusterError):
    """A program is missing and cannot be built."""


class NodeError(LocalClusterError):
    """The machine lacks something that a real node needs, or a command that sets it up failed."""


class ComponentError(LocalClusterError):
    """A component did not start; `log` is its log file and `tail` the end of it."""

    def __init__(self, what: str, *, log: Path, tail: str) -> None:
        super().__init__(f"{what}\nEnd of its log {log}:\n{tail or '(the log is empty)'}")
        self.log = log
        self.tail = tail

    @property
    def is_port_conflict(self) -> bool:
        """Another process took the port between choosing and using it; new ports help."""
        return "address already in use" in self.tail


class ApiError(LocalClusterError):
    """The API server said no: `status` is the HTTP code (0: no answer), `reason` that of the Status object."""

    def __init__(self, what: str, *, status: int, reason: str, message: str) -> None:
        super().__init__(f"{what}: {status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class KubectlError(LocalClusterError):
    """kubectl failed; the text holds what it said."""


class WaitError(LocalClusterError, AssertionError):
    """What was awaited did not happen in time; an AssertionError too, because a test that waits in vain has failed."""
