# SPDX-License-Identifier: Apache-2.0
"""The role's variables are what argument_specs.yml says, and a play may say which instance in one of three ways."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.components import registry
from ansible_collections.media.immich.plugins.plugin_utils.passes.sections import Section
from ansible_collections.media.immich.plugins.plugin_utils.passes.summary import summary
from ansible_collections.media.immich.plugins.plugin_utils.spec.custom_resources import (
    Described,
    Unusable,
    from_variables,
)

ROLE = Path(__file__).parents[4] / "roles" / "immich"
SPECS = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"][
    "options"
]
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
VARIABLE = re.compile(r"(?<![\w.'])(immich_\w+)")


def used_by_the_tasks() -> set[str]:
    """Variables that begin with the role's name, less those that a task registers."""
    texts = [path.read_text(encoding="utf-8") for path in (*ROLE.glob("tasks/*.yml"), *ROLE.glob("vars/*.yml"))]
    lines = [line.split(" #")[0] for text in texts for line in text.splitlines() if not line.lstrip().startswith("#")]
    registered = {match[1] for line in lines if (match := re.search(r"register: (\w+)", line))}
    return {name for line in lines for name in VARIABLE.findall(line)} - registered


def test_each_variable_of_the_tasks_is_an_argument_and_each_argument_is_used() -> None:
    assert used_by_the_tasks() == SPECS.keys()


def test_each_argument_has_a_default_and_says_which() -> None:
    said = {name: option["default"] for name, option in SPECS.items() if "default" in option}

    assert DEFAULTS.keys() == SPECS.keys()
    assert said == {name: value for name, value in DEFAULTS.items() if name != "immich_cr"}, "it comes from a runtime"


def tasks_of_a_play() -> list[dict[str, Any]]:
    """The tasks within blocks too, each with the block's tags."""
    tasks = yaml.safe_load((ROLE / "tasks" / "play.yml").read_text(encoding="utf-8"))
    return [
        {**({"tags": task["tags"]} if "tags" in task else {}), **inner}
        for task in tasks
        for inner in task.get("block", [task])
    ]


def section_of(task: dict[str, Any]) -> str:
    """The last word of an expression."""
    return str(task["media.immich.apply"]["section"]).rstrip("' }").rpartition("'")[2]


def test_a_play_applies_each_component_in_a_task_of_its_own_and_the_server_after_those_that_it_needs() -> None:
    kept, key, resource, *components, server, ingress, clean_up = [
        section_of(task) for task in tasks_of_a_play() if "media.immich.apply" in task
    ]

    assert sorted([*components, server]) == sorted(registry.names())
    assert server == "server"
    assert [kept, key, resource, ingress, clean_up] == list(Section)


def test_each_component_has_the_tag_of_its_name_and_what_is_no_components_runs_whatever_tags_are_chosen() -> None:
    tags = {section_of(task): task["tags"] for task in tasks_of_a_play() if "media.immich.apply" in task}
    others = [task["tags"] for task in tasks_of_a_play() if "media.immich.apply" not in task]

    of_their_own = {*registry.names(), Section.CUSTOM_RESOURCE, Section.INGRESS}
    assert {section for section, tag in tags.items() if tag == section} == of_their_own
    assert tags["clean-up"] == "always", "it looks itself at what was chosen"
    assert set(tags["checksum-key"]) == {"postgres", "machine-learning", "server"}, "those whose pods have checksums"
    assert set(others) == {"always"}


def test_a_removal_keeps_the_custom_resource_for_each_tag_of_a_component_and_for_no_other_tag() -> None:
    [task] = [task for task in tasks_of_a_play() if task.get("tags") == Section.CUSTOM_RESOURCE]

    assert "ansible_skip_tags | intersect(__immich_components)" in task["media.immich.apply"]["section"]
    assert sorted(task["vars"]["__immich_components"]) == sorted([*registry.names(), Section.INGRESS])


def test_a_deployed_pass_is_three_tasks() -> None:
    main = yaml.safe_load((ROLE / "tasks" / "main.yml").read_text(encoding="utf-8"))
    tasks = yaml.safe_load((ROLE / "tasks" / "pass.yml").read_text(encoding="utf-8"))

    assert len(tasks) == 3
    assert [next(key for key in task if key.startswith("ansible.")) for task in main] == [
        "ansible.builtin.import_tasks"
    ], "an import is no task; an include would be one"


@pytest.mark.parametrize(
    ("described", "namespace"),
    [
        pytest.param(Described(name="a", spec={"valkey": {}}), "default", id="name-and-spec"),
        pytest.param(Described(name="a", spec={"valkey": {}}, namespace="n"), "n", id="with-a-namespace"),
        pytest.param(
            Described(
                cr={
                    "apiVersion": "media.rm3l.org/v1alpha1", "kind": "Immich",
                    "metadata": {"name": "a", "namespace": "own"}, "spec": {"valkey": {}},
                },
                namespace="own",
            ),
            "own", id="resource-that-names-its-own",
        ),
        pytest.param(
            Described(
                file="a.yaml",
                text="apiVersion: media.rm3l.org/v1alpha1\nkind: Immich\nmetadata: {name: a}\nspec: {valkey: {}}\n",
                namespace="n",
            ),
            "n", id="file",
        ),
    ],
)  # fmt: skip
def test_all_ways_describe_the_same_resource(described: Described, namespace: str) -> None:
    assert from_variables(described) == {
        "apiVersion": "media.rm3l.org/v1alpha1",
        "kind": "Immich",
        "metadata": {"name": "a", "namespace": namespace},
        "spec": {"valkey": {}},
    }


@pytest.mark.parametrize(
    ("described", "message"),
    [
        pytest.param(Described(), "say which instance: set immich_name, immich_file or immich_cr", id="none"),
        pytest.param(Described(name="a", cr={"x": 1}), "set only one of immich_cr and immich_name", id="two"),
        pytest.param(
            Described(cr={"metadata": {"name": "a"}}, spec={"valkey": {}}),
            "immich_spec goes with immich_name; with immich_cr the spec is in the resource", id="spec-beside",
        ),
        pytest.param(
            Described(cr={"kind": "Immich", "metadata": {}}),
            "Immich without name: metadata.name: an Immich needs a name. Set it.", id="no-name",
        ),
        pytest.param(Described(file="a.yaml", text="a: &a [*a]"), r"a.yaml: line 1: an alias to .* never ends", id="bomb"),
        pytest.param(Described(file="a.yaml", text="a: ["), r"a.yaml: this is not YAML: .*, line \d", id="no-yaml"),
    ],
)  # fmt: skip
def test_what_says_too_little_or_too_much_is_refused_in_a_sentence(described: Described, message: str) -> None:
    with pytest.raises(Unusable, match=f"^{message}$"):
        from_variables(described)


def a_report(**conditions: str) -> dict[str, Any]:
    listed = [
        {"type": type_, "status": status, "reason": "Because", "message": f"{type_} says why"}
        for type_, status in conditions.items()
    ]
    return {"status": {"ready": conditions.get("Ready") == "True", "url": "", "conditions": listed}, "failures": []}


@pytest.mark.parametrize(
    ("report", "options", "problem"),
    [
        pytest.param(a_report(Ready="False", Degraded="False"), {"is_stored": False}, None, id="still-starting"),
        pytest.param(
            a_report(Ready="False", Degraded="True"), {"is_stored": False},
            "Immich n/a cannot work as it is: Degraded says why", id="nobody-carries-the-status",
        ),
        pytest.param(a_report(Ready="False", Degraded="True"), {"is_stored": True}, None, id="the-status-says-it"),
        pytest.param(
            a_report(Ready="False", Degraded="True") | {"failures": ["Service x: 403"]}, {"is_stored": True},
            "Immich n/a cannot work as it is: Service x: 403", id="something-was-refused",
        ),
        pytest.param(
            a_report(Ready="False", Degraded="False"), {"is_stored": True, "waited": 5.0},
            "Immich n/a is not ready after 5 seconds: Ready says why", id="not-in-time",
        ),
        pytest.param(a_report(Ready="True", Degraded="False"), {"is_stored": True, "waited": 5.0}, None, id="in-time"),
        pytest.param(
            {"status": None, "failures": ["no way to the API server"], "kept": []}, {"is_stored": False},
            "Immich n/a is not removed: no way to the API server", id="not-removed",
        ),
        pytest.param(
            {"status": None, "failures": ["Secret sso does not exist"], "left": ["valkey"]}, {"is_stored": True},
            "Immich n/a cannot work as it is: Secret sso does not exist", id="a-part",
        ),
    ],
)  # fmt: skip
def test_a_play_fails_for_what_nobody_else_would_tell(
    report: dict[str, Any], options: dict[str, Any], problem: str | None
) -> None:
    assert summary(report, name="a", namespace="n", **options)["problem"] == problem


def test_of_a_part_a_play_says_what_was_left_out_and_nothing_of_the_instance() -> None:
    report = {"status": None, "failures": [], "left": ["library", "valkey"]}

    told = summary(report, name="a", namespace="n", is_stored=True)

    assert told["lines"][0] == "Immich n/a: only a part was chosen; left out: library, valkey"
    assert "ready" not in " ".join(told["lines"])
    assert (told["problem"], told["has_status"]) == (None, False)


@pytest.mark.parametrize(
    ("left", "says_that_it_stays"),
    [
        pytest.param(["custom-resource", "server"], True, id="with-the-resource"),
        pytest.param(["clean-up"], False, id="without-it"),
    ],
)
def test_a_removal_in_part_says_that_the_custom_resource_stays(left: list[str], says_that_it_stays: bool) -> None:
    told = summary({"kept": [], "failures": [], "left": left}, name="a", namespace="n", is_stored=True)

    assert any(line.startswith("The custom resource stays") for line in told["lines"]) is says_that_it_stays
