# SPDX-License-Identifier: Apache-2.0
"""watches.yaml: what is understood, what is refused, and in which words."""

import re
from pathlib import Path

import pytest

from immich_operator.config.watches import Dependent, Reference, Watch, expand, load, without_effect
from immich_operator.errors import WatchesError
from immich_operator.kube.resources import Kind

ENTRY = "- version: v1\n  group: example.org\n  kind: Widget\n  role: widget\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a role and a playbook."""
    (tmp_path / "roles/widget").mkdir(parents=True)
    (tmp_path / "widget.yml").write_text("[]")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(text: str, **environ: str) -> tuple[Watch, ...]:
    Path("watches.yaml").write_text(text)
    return load(Path("watches.yaml"), environ)


def problems_of(text: str) -> list[str]:
    with pytest.raises(WatchesError) as caught:
        read(text)
    return list(caught.value.problems)


def test_an_entry_has_the_defaults_of_the_operator_sdk_except_for_unsafe_strings(folder):
    (watch,) = read(ENTRY)

    assert watch == Watch(kind=Kind("example.org/v1", "Widget"), role=folder / "roles/widget")
    assert (watch.max_runner_artifacts, watch.reconcile_period_s, watch.manage_status) == (20, None, True)
    assert (watch.snake_case_parameters, watch.watch_annotations_changes) == (True, False)
    assert watch.mark_unsafe, "the Operator SDK's default would evaluate Jinja of whoever may write a custom resource"


def test_every_key_is_understood(folder):
    text = ENTRY + (
        "  vars: {a: 1}\n  maxRunnerArtifacts: 3\n  reconcilePeriod: 1h30m\n  manageStatus: false\n"
        "  watchDependentResources: false\n  watchClusterScopedResources: true\n  snakeCaseParameters: false\n"
        "  watchAnnotationsChanges: true\n  markUnsafe: false\n  selector: {matchLabels: {a: b}}\n"
        "  blacklist: [{group: '', version: v1, kind: Pod}]\n"
        "  finalizer: {name: example.org/finalizer, playbook: widget.yml, vars: {state: absent}}\n"
        "  dependents:\n    selector: a=b\n    instanceLabel: example.org/instance\n"
        "    kinds: [{apiVersion: v1, kind: Pod}, {apiVersion: x.org/v1, kind: Route, optional: true}]\n"
        "  references: [{apiVersion: v1, kind: Secret, paths: [spec.a, 'spec.b[].c'], names: ['{name}-x']}]\n"
        "  formerFinalizer: predecessor.org/finalizer\n  identityOnly: true\n"
    )

    (watch,) = read(text)

    assert (watch.vars, watch.max_runner_artifacts, watch.reconcile_period_s) == ({"a": 1}, 3, 5400)
    assert not any((watch.manage_status, watch.watch_dependent_resources, watch.snake_case_parameters))
    assert watch.watch_cluster_scoped_resources
    assert watch.watch_annotations_changes
    assert not watch.mark_unsafe
    assert watch.selector.matches({"a": "b"})
    assert not watch.selector.matches({})
    assert watch.finalizer is not None
    assert (watch.finalizer.playbook, watch.finalizer.vars) == (folder / "widget.yml", {"state": "absent"})
    assert watch.dependents.kinds == (
        Dependent(Kind("v1", "Pod")),
        Dependent(Kind("x.org/v1", "Route"), optional=True),
    )
    assert (watch.dependents.selector, watch.dependents.instance_label) == ("a=b", "example.org/instance")
    assert watch.references == (Reference(Kind("v1", "Secret"), ("spec.a", "spec.b[].c"), ("{name}-x",)),)
    cr = {"metadata": {"name": "main"}, "spec": {"a": "one", "b": [{"c": "two"}]}}
    assert watch.references[0].named_by(cr) == ["one", "two", "main-x"]
    assert (watch.former_finalizer, watch.identity_only) == ("predecessor.org/finalizer", True)


@pytest.mark.parametrize(
    ("keys", "without"),
    [
        pytest.param("", ["watchDependentResources: true"], id="default"),
        pytest.param("  watchDependentResources: true\n", ["watchDependentResources: true"], id="true"),
        pytest.param("  watchDependentResources: false\n", [], id="false"),
        pytest.param("  dependents: {kinds: [{apiVersion: v1, kind: Pod}]}\n", [], id="kinds-are-listed"),
        pytest.param("  dependents: {selector: a=b}\n", ["watchDependentResources: true"], id="no-kind-is-listed"),
        pytest.param(
            "  watchDependentResources: false\n  watchClusterScopedResources: true\n",
            ["watchClusterScopedResources: true"],
            id="cluster-scoped",
        ),
    ],
)
def test_a_wish_for_watches_without_a_list_of_kinds_has_no_effect(keys, without):
    assert [wish["key"] for wish in without_effect(read(ENTRY + keys))] == without


def test_what_has_no_effect_is_reported_with_its_entry_and_what_to_do():
    quiet = ENTRY + "  watchDependentResources: false\n"

    [wish] = without_effect(read(quiet + ENTRY.replace("Widget", "Gadget")))

    assert wish == {
        "entry": "2 (example.org/v1 Gadget)",
        "key": "watchDependentResources: true",
        "remedy": "list the kinds that the role creates under 'dependents', or set watchDependentResources: false",
    }


def test_the_operators_own_file_asks_for_nothing_that_has_no_effect():
    root = Path(__file__).resolve().parents[4]
    text = re.sub(r"media\.immich\.(\w+)", rf"{root}/roles/\1", (root / "watches.yaml").read_text())

    assert without_effect(read(text)) == []


def test_the_case_of_keys_does_not_matter():
    (watch,) = read(ENTRY.replace("kind:", "KIND:") + "  managestatus: false\n")

    assert (watch.kind.kind, watch.manage_status) == ("Widget", False)


def test_a_playbook_wins_over_a_role(folder):
    (watch,) = read(ENTRY + "  playbook: widget.yml\n")

    assert (watch.role, watch.playbook) == (None, folder / "widget.yml")


@pytest.mark.parametrize("text", ["maxRunnerArtifacts: 0", "reconcilePeriod: 0s"])
def test_zero_equals_unset(text):
    assert read(ENTRY + f"  {text}\n") == read(ENTRY)


def test_variables_are_replaced_everywhere_and_unset_ones_stay_visible():
    assert expand("${A} $B $C ${D}", {"A": "1", "B": "2"}) == "1 2 ${C} ${D}"
    (watch,) = read(ENTRY + "  vars: {a: $PLACE, b: '${NOWHERE}'}\n", PLACE="home")
    assert watch.vars == {"a": "home", "b": "${NOWHERE}"}


@pytest.mark.parametrize(
    ("role", "place", "environ"),
    [
        pytest.param("{folder}/elsewhere", "elsewhere", {}, id="absolute"),
        pytest.param(
            "a.b.c", "coll/ansible_collections/a/b/roles/c", {"ANSIBLE_COLLECTIONS_PATH": "coll"}, id="collection"
        ),
        pytest.param("r", "p1/r", {"ANSIBLE_ROLES_PATH": "p0:p1"}, id="roles-path"),
        pytest.param("r", "p1/roles/r", {"ANSIBLE_ROLES_PATH": "p0:p1"}, id="roles-below-roles-path"),
        pytest.param("r", "roles/r", {"ANSIBLE_ROLES_PATH": "p0"}, id="working-directory"),
    ],
)
def test_a_role_is_found_where_the_operator_sdk_finds_it(role, place, environ, folder):
    (folder / place).mkdir(parents=True)

    (watch,) = read(ENTRY.replace("role: widget", f"role: {role.format(folder=folder)}"), **environ)

    assert watch.role.resolve() == (folder / place).resolve()


def test_a_role_of_a_collection_that_came_as_a_python_package_is_found(folder, monkeypatch):
    (folder / "site/ansible_collections/a/b/roles/c").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(folder / "site"))

    (watch,) = read(ENTRY.replace("role: widget", "role: a.b.c"))

    assert watch.role == folder / "site/ansible_collections/a/b/roles/c"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "line 1, whole file: it is empty; add an entry with 'version', 'kind' and 'role'", id="empty"),
        pytest.param("a: b", "line 1, entry: it must be a list, each item beginning with '- '", id="no-list"),
        pytest.param("- a", "line 1, entry 1: it must be a mapping", id="no-mapping"),
        pytest.param("- kind: A\n  role: widget", "line 1, entry 1: 'version' is missing", id="no-version"),
        pytest.param("- version: v1\n  role: widget", "line 1, entry 1: 'kind' is missing", id="no-kind"),
        pytest.param(
            "- version: one\n  kind: A\n  role: widget",
            "line 1, entry 1: 'one' is not an API version; write it like v1 or v1alpha1",
            id="bad-version",
        ),
        pytest.param(
            "- version: v1\n  kind: A", "line 1, entry 1: give it a 'role' or a 'playbook'", id="nothing-to-run"
        ),
        pytest.param(
            ENTRY + "  playbook: none.yml",
            "line 5, entry 1: playbook {folder}/none.yml does not exist",
            id="no-such-playbook",
        ),
        pytest.param(
            ENTRY + ENTRY, "line 5, entry 2: example.org/v1 Widget is already in the entry at line 1", id="twice"
        ),
        pytest.param(
            ENTRY + "  reconcilePeriod: 5",
            "line 5, entry 1: 'reconcilePeriod' must be a duration in quotes, like 30s, 5m or 1h30m",
            id="period-as-number",
        ),
        pytest.param(
            ENTRY + "  reconcilePeriod: soon",
            "line 5, entry 1: 'reconcilePeriod': 'soon' is not a duration; write it like 30s, 5m or 1h30m",
            id="bad-period",
        ),
        pytest.param(
            ENTRY + "  reconcilePeriods: 5m",
            "line 5, entry 1: unknown key 'reconcilePeriods'; did you mean 'reconcilePeriod'?",
            id="misspelt-key",
        ),
        pytest.param(
            ENTRY + "  manageStatus: 'yes'",
            "line 5, entry 1: 'manageStatus' must be true or false",
            id="text-for-boolean",
        ),
        pytest.param(
            ENTRY + "  maxRunnerArtifacts: true",
            "line 5, entry 1: 'maxRunnerArtifacts' must be a whole number",
            id="boolean-for-number",
        ),
        pytest.param(
            ENTRY + "  maxRunnerArtifacts: -1",
            "line 5, entry 1: 'maxRunnerArtifacts' must not be negative",
            id="negative",
        ),
        pytest.param(ENTRY + "  Kind: B", "line 1, entry 1: 'Kind' is given twice", id="key-twice"),
        pytest.param(
            ENTRY + "  finalizer: {role: widget}",
            "line 5, entry 1, finalizer: 'name' is missing",
            id="finalizer-no-name",
        ),
        pytest.param(
            ENTRY + "  finalizer: {name: a/b}",
            "line 5, entry 1, finalizer: give it at least one of 'role', 'playbook', 'vars'",
            id="finalizer-does-nothing",
        ),
        pytest.param(
            ENTRY + "  selector: {labels: {}}",
            "line 5, entry 1: a selector has matchLabels and matchExpressions, not labels",
            id="bad-selector",
        ),
        pytest.param(
            ENTRY + "  dependents: {kinds: [{kind: Pod}]}",
            "line 5, entry 1, dependents, kinds 1: 'apiVersion' and 'kind' are needed",
            id="dependent-no-version",
        ),
        pytest.param(
            ENTRY + "  references: [{apiVersion: v1, kind: Secret}]",
            "line 5, entry 1, references 1: 'paths' is missing: say where a custom resource names such an object",
            id="reference-no-paths",
        ),
        pytest.param(ENTRY + "  dependents: []", "line 5, entry 1: 'dependents' must be a mapping", id="no-block"),
    ],
)
def test_a_mistake_is_named_with_its_line(text, problem, folder):
    assert problem.format(folder=folder) in problems_of(text)


def test_all_mistakes_are_reported_at_once():
    found = problems_of(ENTRY + "  manageStatus: 1\n  colour: red\n- kind: B\n")

    assert len(found) == 4, found


def test_a_role_that_is_nowhere_names_the_places_that_were_looked_at(folder):
    (problem,) = problems_of(ENTRY.replace("role: widget", "role: nowhere"))

    assert problem == f"line 4, entry 1: role nowhere was not found; searched for {folder}/roles/nowhere"


def test_text_that_is_no_yaml_is_a_problem_and_no_traceback():
    (problem,) = problems_of("- a: [")

    assert problem.startswith("it is not YAML: ")


def test_a_missing_file_says_which_flag_to_set():
    with pytest.raises(
        WatchesError, match=r"nowhere\.yaml cannot be used:\n  - it cannot be read .*; set --watches-file"
    ):
        load(Path("nowhere.yaml"), {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(ENTRY + "  vars: &a {b: *a}\n", "line 5: an alias to what it is in never ends", id="itself"),
        pytest.param(
            ENTRY
            + "  vars:\n    a0: &a0 [x, x]\n"
            + "".join(f"    a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
            "it has more than 500,000 values, aliases written out",
            id="aliases-to-aliases",
        ),
        pytest.param("- " * 200 + "a", "line 1: it is nested more than 100 levels deep", id="depth"),
        pytest.param("#" * 9_000_000, "it is larger than 8 MiB", id="size"),
        pytest.param(
            ENTRY + "  maxRunnerArtifacts: " + "9" * 5000, "line 5: a number of more than 300 digits", id="number"
        ),
        pytest.param(
            ENTRY + "  vars: {day: 2024-99-99}", "a value is none of its type; put it in quotes", id="no-date"
        ),
    ],
)
def test_a_file_beyond_a_bound_or_with_an_impossible_value_is_a_problem_at_once(text, words):
    (problem,) = problems_of(text)

    assert words in problem


def test_a_file_that_is_no_text_is_a_problem(folder):
    (folder / "watches.yaml").write_bytes(b"- a: \xff")

    with pytest.raises(WatchesError, match="it is not text in UTF-8"):
        load(Path("watches.yaml"), {})
