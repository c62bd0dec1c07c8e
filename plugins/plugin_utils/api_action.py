# SPDX-License-Identifier: Apache-2.0
"""What the collection's actions have in common: arguments, a connection, and failures as results."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from .faults import without_text
from .kube.api_error import Misconfigured, TransportError
from .kube.api_objects import ApiObjects
from .kube.bounded_yaml import exceeds
from .kube.connection_settings import CONNECTION_ARGUMENTS, ConnectionSettings
from .kube.packages import missing
from .kube.resource_paths import BUILT_IN, Resource
from .kube.transport import Transport, connected
from .kube.values import structure
from .spec.custom_kinds import CUSTOM_KINDS

with contextlib.suppress(ImportError):  # reported where it is used
    # Slow to import. ansible-playbook loads an action before it forks a worker for each task, so once here, for all.
    from .kube import client_pool  # noqa: F401 # pylint: disable=unused-import

__all__ = ["ApiAction"]

KNOWN = BUILT_IN | {(row.api_version, row.kind): Resource(row.plural, row.namespaced) for row in CUSTOM_KINDS}
"""Kubernetes' kinds and ours, which therefore need no request for discovery."""


class ApiAction(ActionBase):  # type: ignore[misc] # ansible-core ships no types
    """An action that talks to one API server from the controller, without a connection plugin or a module process.

    Subclasses set ARGUMENTS, VALUES and TEXTS and implement `perform`.
    """

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False
    TRANSFERS_FILES = False

    ARGUMENTS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Argument spec of the small arguments; the connection's are added."""
    VALUES: ClassVar[Mapping[str, type]] = {}
    """Arguments that hold manifests, with their types. They bypass the argument spec, which copies what it checks."""
    TEXTS: ClassVar[tuple[str, ...]] = ()
    """Arguments that are texts of earlier tasks (`values.text`); `perform` gets the mappings in them."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The result of the task. What the API server or the network refuses is a failed result, not a traceback."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = self._checked_arguments()
        with without_text(self._task.action, AnsibleActionFail):
            try:
                environment = self._environment()
                transport = connected(ConnectionSettings.from_arguments(arguments, environment), environment)
                result.update(self.perform(arguments, transport))
            except ImportError as exc:
                result.update(self.unable(arguments, Misconfigured(missing(exc))))
            except TransportError as exc:
                result.update(self.unable(arguments, exc))
        return result

    def perform(self, arguments: dict[str, Any], transport: Transport) -> dict[str, Any]:
        """The task's result. May raise TransportError, which fails the task with its text."""
        raise NotImplementedError

    def unable(self, arguments: dict[str, Any], cause: TransportError) -> dict[str, Any]:
        """The task's result if the API server or the connection is the problem: a failure that says so."""
        del arguments
        return {"failed": True, "changed": False, "msg": f"{self._task.action}: {cause}"}

    @staticmethod
    def objects(transport: Transport, **options: Any) -> ApiObjects:
        """The objects of the cluster; `options` are those of ApiObjects."""
        return ApiObjects(transport, known=KNOWN, **options)

    @property
    def is_check(self) -> bool:
        """Nothing may be written."""
        return bool(self._task.check_mode)

    @property
    def is_diff(self) -> bool:
        """The user wants to see what changes."""
        return bool(self._task.diff)

    def _checked_arguments(self) -> dict[str, Any]:
        given = dict(self._task.args)
        values = {name: given.pop(name, None) for name in (*self.VALUES, *self.TEXTS)}
        validation = ArgumentSpecValidator({**CONNECTION_ARGUMENTS, **self.ARGUMENTS}).validate(given)
        if validation.error_messages:
            raise AnsibleActionFail(f"{self._task.action}: {'; '.join(validation.error_messages)}")
        arguments: dict[str, Any] = dict(validation.validated_parameters)
        for name, kind in self.VALUES.items():
            value = values[name]
            if value is not None and not isinstance(value, kind):
                wanted = "mapping" if kind is dict else kind.__name__
                raise AnsibleActionFail(f"{self._task.action}: {name} must be a {wanted}, not {type(value).__name__}")
            arguments[name] = self._as_json(name, value)
        for name in self.TEXTS:
            arguments[name] = None if values[name] is None else structure(values[name])
            if arguments[name] is None and values[name] is not None:
                raise AnsibleActionFail(f"{self._task.action}: {name} must be the `json` of an earlier task's result")
        return arguments

    def _as_json(self, name: str, value: Any) -> Any:
        """The value in plain types: Ansible's marked strings would slow everything down and mean nothing here."""
        if problem := exceeds(value):
            raise AnsibleActionFail(f"{self._task.action}: {name} is too large: {problem}")
        try:
            return json.loads(json.dumps(value))
        except (TypeError, ValueError) as exc:
            raise AnsibleActionFail(f"{self._task.action}: {name} cannot be sent as JSON: {exc}") from exc

    def _environment(self) -> dict[str, str]:
        """This process's variables, overridden by those in the play's and the task's `environment`."""
        of_task: dict[str, Any] = {}
        self._compute_environment_string(of_task)
        return {**os.environ, **{str(name): str(value) for name, value in of_task.items()}}
