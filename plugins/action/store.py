# SPDX-License-Identifier: Apache-2.0
"""Check the resource that a play describes and store it where its kind is known. Documented in plugins/modules/store.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail, AnsibleError

from ..plugin_utils.api_action import ApiAction
from ..plugin_utils.kube.api_error import TransportError
from ..plugin_utils.kube.api_objects import ApiObjects
from ..plugin_utils.kube.applying import apply_steps
from ..plugin_utils.kube.bounded_yaml import TooLarge, read_text
from ..plugin_utils.kube.manifest_diff import object_diff
from ..plugin_utils.kube.packages import missing
from ..plugin_utils.kube.resource_paths import is_served
from ..plugin_utils.kube.transport import Transport
from ..plugin_utils.kube.values import text
from ..plugin_utils.spec import names
from ..plugin_utils.spec.custom_resources import Described, Unusable, completed, from_variables

FIELD_MANAGER = "ansible-playbook"
ENCRYPTED = "$ANSIBLE_VAULT;"


class ActionModule(ApiAction):
    """Never fails: its task has no_log, which would hide why. What is wrong is in `problem`."""

    ARGUMENTS: ClassVar[dict[str, dict[str, Any]]] = {
        "file": {"type": "str"},
        "name": {"type": "str"},
        "namespace": {"type": "str"},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        "field_manager": {"type": "str", "default": FIELD_MANAGER},
    }
    VALUES: ClassVar[dict[str, type]] = {"cr": dict, "spec": dict}

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            arguments = self._checked_arguments()
            self._given = from_variables(_described(arguments, self._decrypted))
            if arguments["state"] == "absent":  # which one it is suffices, whatever is wrong with it
                return _told(self._given, is_stored=False, is_current=False)
            self._wanted = completed(self._given, names.KIND)
            return super().run(tmp, task_vars)
        except (AnsibleActionFail, Unusable) as exc:
            return _problem(str(exc))
        except ImportError as exc:
            return _problem(missing(exc))

    def _decrypted(self, path: Path) -> str:
        """The content of a file of Ansible Vault."""
        try:
            read = getattr(self._loader, "get_text_file_contents", None)  # since ansible-core 2.19
            if read is not None:
                return str(read(str(path.absolute())))
            return str(self._loader._get_file_contents(str(path.absolute()))[0].decode())
        except AnsibleError as exc:
            raise Unusable(f"{path}: cannot be decrypted: {str(exc).splitlines()[0]}") from exc

    def perform(self, arguments: dict[str, Any], transport: Transport) -> dict[str, Any]:
        if not _is_served(transport):
            return _told(self._wanted, is_stored=False)
        field_manager = arguments["field_manager"]
        objects = self.objects(transport, dry_run=self.is_check, field_manager=field_manager)
        [outcome] = apply_steps(
            [{"verb": "apply", "object": self._given}],
            None,
            objects_for=lambda _: objects,
            in_parallel=transport.parallel,
            field_manager=field_manager,
        )
        if outcome.error or outcome.object is None:
            return _problem(str(outcome.as_dict()["error"]))
        changes = [object_diff(str(outcome.ref), outcome.before, outcome.object)] if outcome.changed else []
        return _told(outcome.object, is_stored=True, changes=changes)

    def unable(self, arguments: dict[str, Any], cause: TransportError) -> dict[str, Any]:
        del arguments
        return _problem(str(cause))


def _described(arguments: dict[str, Any], decrypted: Callable[[Path], str]) -> Described:
    file = arguments["file"]
    described = Described(file=file, **{name: arguments[name] for name in ("cr", "name", "spec", "namespace")})
    if not file or described.cr or described.name:  # one too many, which says more than that there is no such file
        return described
    try:
        path = Path(file).expanduser()
        with path.open("rb") as opened:
            content = read_text(opened)
        return described._replace(text=decrypted(path) if content.startswith(ENCRYPTED) else content)
    except OSError as exc:
        where = "" if Path(file).is_absolute() else f" (looked for in {Path.cwd()})"
        raise Unusable(f"{file}: {exc.strerror or exc}{where}") from exc
    except UnicodeDecodeError as exc:
        raise Unusable(f"{file}: this is not UTF-8 text") from exc
    except TooLarge as exc:
        raise Unusable(f"{file}: {exc}") from exc


def _is_served(transport: Transport) -> bool:
    return is_served(names.API_VERSION, ApiObjects(transport).api_groups())


def _told(
    cr: dict[str, Any], *, is_stored: bool, is_current: bool = True, changes: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """`is_current`: nothing but this is stored of the instance, or would be, were this not check mode."""
    metadata = cr["metadata"]
    return {
        "changed": bool(changes),
        "json": text({"cr": cr, "is_current": is_current, "changes": changes or []}),
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "is_stored": is_stored,
        "problem": None,
    }


def _problem(what: str) -> dict[str, Any]:
    return {"changed": False, "problem": what}
