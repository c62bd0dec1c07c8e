# SPDX-License-Identifier: Apache-2.0
"""watches.yaml: the schema and defaults of the Operator SDK, and keys of our own.

These are `dependents`, `references`, `formerFinalizer`, `identityOnly` and `announce`.

What differs from the Operator SDK on purpose:
- unknown keys are refused with a suggestion, because a misspelt one would silently do nothing;
- all problems are reported at once, each with its line;
- `markUnsafe` is true unless the file says otherwise: with the SDK's default, Jinja in a custom resource is evaluated.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from immich_operator.config.roles import RoleSearch
from immich_operator.config.yaml_lines import Entry, Problems, load_entries
from immich_operator.errors import WatchesError
from immich_operator.kube.client import values_at
from immich_operator.kube.label_selectors import Selector
from immich_operator.kube.resources import Kind, Manifest, metadata_of
from immich_operator.kube.texts import TooLarge, read_text

DEFAULT_ARTIFACTS: Final = 20
LONGEST_NAME: Final = 253  # of any object in Kubernetes
_VERSION: Final = re.compile(r"v\d+((alpha|beta)\d+)?")
_VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalizer:
    """What to run when a custom resource is deleted. Without role and playbook the entry's own runs again."""

    name: str
    role: Path | None = None
    playbook: Path | None = None
    vars: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dependent:
    """A kind of object that the role creates. `optional`: its API may come and go."""

    kind: Kind
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependents:
    """Which objects belong to a custom resource: those with `selector`, by `instance_label` or controller owner."""

    selector: str = ""
    instance_label: str = "app.kubernetes.io/instance"
    kinds: tuple[Dependent, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """A kind of object in the same namespace that a custom resource relies on.

    It names them at one of `paths`, or their names follow from its own: {name} in `names` stands for that.
    """

    kind: Kind
    paths: tuple[str, ...]
    names: tuple[str, ...] = ()

    def named_by(self, cr: Manifest) -> list[str]:
        """The names of the objects that a custom resource relies on."""
        own = str(metadata_of(cr).get("name", ""))
        given = [name for path in self.paths for name in names_at(cr, path)]
        return [*given, *(name.replace("{name}", own) for name in self.names)]


def names_at(cr: Manifest, path: str) -> list[str]:
    """What can be the name of an object there, see `values_at`."""
    return [name for name in values_at(cr, path) if len(name) <= LONGEST_NAME]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One entry of watches.yaml; exactly one of `role` and `playbook` is set."""

    kind: Kind
    role: Path | None = None
    playbook: Path | None = None
    vars: Mapping[str, Any] = field(default_factory=dict)
    max_runner_artifacts: int = DEFAULT_ARTIFACTS
    reconcile_period_s: float | None = None  # None = the flag's
    manage_status: bool = True
    watch_dependent_resources: bool = True
    watch_cluster_scoped_resources: bool = False
    snake_case_parameters: bool = True
    watch_annotations_changes: bool = False
    mark_unsafe: bool = True
    selector: Selector = field(default_factory=Selector)
    finalizer: Finalizer | None = None
    dependents: Dependents = field(default_factory=Dependents)
    references: tuple[Reference, ...] = ()
    former_finalizer: str | None = None
    """Left by a predecessor; an object that is being deleted and waits for it gets a pass, and the role removes it."""
    announce: bool = False
    """The role gives each object conditions, Ready among them; until it has, the loop says that Ready is unknown."""
    identity_only: bool = False
    """The role reads the object itself: it gets its identity, not its content. See docs/explanation/architecture.md."""


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Replace `$NAME` and `${NAME}` everywhere; an unset one becomes `${NAME}`, as in the Operator SDK."""
    return _VARIABLE.sub(lambda match: environ.get(name := match[1] or match[2], f"${{{name}}}"), text)


def load(path: Path, environ: Mapping[str, str] | None = None) -> tuple[Watch, ...]:
    """Read and check the whole file.

    Raises:
        WatchesError: with every problem found.
    """
    environ = os.environ if environ is None else environ
    problems = Problems()
    try:
        with path.open("rb") as file:
            text = read_text(file)
        entries = load_entries(expand(text, environ), problems)
    except OSError as exc:
        raise WatchesError(str(path), [f"it cannot be read ({exc.strerror}); set --watches-file"]) from exc
    except UnicodeDecodeError as exc:
        raise WatchesError(str(path), [f"it is not text in UTF-8: byte {exc.start + 1} is none of it"]) from exc
    except TooLarge as exc:
        raise WatchesError(str(path), [str(exc)]) from exc
    except yaml.YAMLError as exc:
        raise WatchesError(str(path), [f"it is not YAML: {' '.join(str(exc).split())}"]) from exc
    search = RoleSearch.from_environment(environ, Path.cwd())
    found: list[Watch] = []
    lines: dict[Kind, int] = {}
    for entry in entries:
        watch = _watch(entry, search)
        if watch is None:
            continue
        if (first := lines.setdefault(watch.kind, entry.line)) != entry.line:
            entry.problem(f"{watch.kind.api_version} {watch.kind.kind} is already in the entry at line {first}")
        found.append(watch)
    if problems.found:
        raise WatchesError(str(path), problems.found)
    return tuple(found)


def without_effect(watches: Sequence[Watch]) -> list[dict[str, str]]:
    """{"entry", "key", "remedy"} of each requested watch that this loop does not start: it only watches what is listed.

    The Operator SDK's proxy sees what a play creates and watches its kind; there is no proxy here.
    """
    found = []
    for number, watch in enumerate(watches, start=1):
        wishes = {
            "watchDependentResources": watch.watch_dependent_resources,
            "watchClusterScopedResources": watch.watch_cluster_scoped_resources,
        }
        for key in [] if watch.dependents.kinds else [key for key, is_wished in wishes.items() if is_wished]:
            found.append(
                {
                    "entry": f"{number} ({watch.kind.api_version} {watch.kind.kind})",
                    "key": f"{key}: true",
                    "remedy": f"list the kinds that the role creates under 'dependents', or set {key}: false",
                }
            )
    return found


def _watch(entry: Entry, search: RoleSearch) -> Watch | None:
    """None if the entry is not usable at all; lesser problems are noted and a default is used."""
    kind = _kind(entry)
    role, playbook = _runnable(entry, search)
    if role is None and playbook is None and not (entry.has("role") or entry.has("playbook")):
        entry.problem("give it a 'role' or a 'playbook'")
    watch = Watch(
        kind=kind,
        role=role,
        playbook=playbook,
        vars=entry.mapping("vars"),
        max_runner_artifacts=entry.integer("maxRunnerArtifacts", 0) or DEFAULT_ARTIFACTS,
        reconcile_period_s=entry.duration("reconcilePeriod") or None,  # 0s means unset, as in the Operator SDK
        manage_status=entry.boolean("manageStatus", default=True),
        watch_dependent_resources=entry.boolean("watchDependentResources", default=True),
        watch_cluster_scoped_resources=entry.boolean("watchClusterScopedResources", default=False),
        snake_case_parameters=entry.boolean("snakeCaseParameters", default=True),
        watch_annotations_changes=entry.boolean("watchAnnotationsChanges", default=False),
        mark_unsafe=entry.boolean("markUnsafe", default=True),
        selector=_selector(entry),
        finalizer=_finalizer(entry, search),
        dependents=_dependents(entry),
        references=_references(entry),
        former_finalizer=entry.text("formerFinalizer") or None,
        announce=entry.boolean("announce", default=False),
        identity_only=entry.boolean("identityOnly", default=False),
    )
    entry.anything("blacklist")  # concerns the Operator SDK's proxy, which does not exist here
    entry.reject_unknown()
    return watch if kind.kind and kind.version else None


def _kind(entry: Entry) -> Kind:
    group, version, kind = entry.text("group"), entry.text("version"), entry.text("kind")
    for key, value in (("version", version), ("kind", kind)):
        if not value:
            entry.problem(f"'{key}' is missing")
    if version and not _VERSION.fullmatch(version):
        entry.problem(f"{version!r} is not an API version; write it like v1 or v1alpha1", "version")
    return Kind(f"{group}/{version}" if group else version, kind)


def _runnable(entry: Entry, search: RoleSearch) -> tuple[Path | None, Path | None]:
    """(role, playbook) as existing paths; a playbook takes precedence over a role."""
    role, playbook = entry.text("role"), entry.text("playbook")
    if playbook:
        path = search.folder / playbook
        if not path.is_file():
            entry.problem(f"playbook {path} does not exist", "playbook")
        return None, path
    if not role:
        return None, None
    found = search.find(role)
    if found is None:
        looked = ", ".join(str(path) for path in search.candidates(role))
        entry.problem(f"role {role} was not found; searched for {looked}", "role")
    return found, None


def _selector(entry: Entry) -> Selector:
    value = entry.mapping("selector")
    try:
        return Selector.from_manifest(value)
    except ValueError as exc:
        entry.problem(str(exc), "selector")
        return Selector()


def _finalizer(entry: Entry, search: RoleSearch) -> Finalizer | None:
    block = entry.block("finalizer")
    if block is None:
        return None
    name = block.text("name")
    if not name:
        block.problem("'name' is missing")
    role, playbook = _runnable(block, search)
    vars_ = block.mapping("vars")
    if not (block.has("role") or block.has("playbook") or vars_):
        block.problem("give it at least one of 'role', 'playbook', 'vars'")
    block.reject_unknown()
    return Finalizer(name=name, role=role, playbook=playbook, vars=vars_)


def _dependents(entry: Entry) -> Dependents:
    block = entry.block("dependents")
    if block is None:
        return Dependents()
    kinds = []
    for item in block.blocks("kinds"):
        kinds.append(Dependent(_api_kind(item), item.boolean("optional", default=False)))
        item.reject_unknown()
    default = Dependents()
    label = block.text("instanceLabel") or default.instance_label
    found = Dependents(selector=block.text("selector"), instance_label=label, kinds=tuple(kinds))
    block.reject_unknown()
    return found


def _references(entry: Entry) -> tuple[Reference, ...]:
    found = []
    for item in entry.blocks("references"):
        paths, names = item.texts("paths"), item.texts("names")
        if not paths and not names:
            item.problem("'paths' is missing: say where a custom resource names such an object")
        found.append(Reference(_api_kind(item), paths, names))
        item.reject_unknown()
    return tuple(found)


def _api_kind(block: Entry) -> Kind:
    kind = Kind(block.text("apiVersion"), block.text("kind"))
    if not all(kind):
        block.problem("'apiVersion' and 'kind' are needed")
    return kind
