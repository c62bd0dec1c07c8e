# SPDX-License-Identifier: Apache-2.0
"""docs/reference/variables.md, from plugins/plugin_utils/spec/variables.py."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.media.immich.plugins.plugin_utils.components import registry
from ansible_collections.media.immich.plugins.plugin_utils.spec.variables import TABLE, Policy, Variable

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "variables.md"

INTRODUCTION = """\
# Environment variables

<!-- Made by `make generate` from plugins/plugin_utils/spec/variables.py; do not edit. -->

Every variable that the containers of an instance read, and what the operator does when you set it in
`spec.server.env`, `spec.server.envFrom`, `spec.machineLearning.env` or `spec.machineLearning.envFrom`. PostgreSQL and
Valkey have no field for variables.

- **passes on**: the container gets your value; the operator does not depend on it.
- **sets**: the operator sets it. Your own entry in `env` replaces it. A key that `envFrom` reads does not, and the
  condition `Warning` says so.
- **follows**: what depends on it is adjusted.
- **refuses**: mounts, ports, probes and Services are made for one value. The API server refuses another one in `env`.
  If it comes from a ConfigMap or a Secret, the component stays as it is and its condition says `SpecInvalid`, with
  the names of the object and of the key. Values from Secrets are never shown.
- **keeps**: you cannot set it.
- **warns**: nothing in the container reads it, and the condition `Warning` says which field to use. So it does of what belongs
  into `env` of the other component, and of `IMMICH_MACHINE_LEARNING_URL` beside a configuration file, which counts more.

A variable that the operator relies on may be set to the value that it has anyway. If there is an `envFrom`, the
operator sets these variables itself, so that nothing added to the ConfigMap or Secret later can change them.

`$(NAME)` in a value stands for a variable that comes before it: all of the operator's that you do not set, what `envFrom`
reads, and yours above it. Your entries keep their order. Of several with the same name the last one counts, and may
refer to the one before it, if that has a `value`. A reference that leads nowhere stays as it is written, and the condition
`Warning` says so.

Variables that are not on this page are passed on.
"""

HEADINGS = {described.component: described.title for described in registry.COMPONENTS}
VERBS = {
    Policy.PASSED: "passes on",
    Policy.OURS: "sets",
    Policy.FOLLOWED: "follows",
    Policy.FIXED: "refuses",
    Policy.OUT_OF_REACH: "keeps",
    Policy.NO_EFFECT: "warns",
}


def files() -> dict[Path, str]:
    """{file: text}"""
    return {PAGE: page()}


def page() -> str:
    sections = [INTRODUCTION]
    for component, variables in TABLE.items():
        rows = [f"| `{variable.name}` | {variable.meaning} | {_treatment(variable)} |" for variable in variables]
        table = "\n".join(["| Variable | Meaning | The operator |", "|---|---|---|", *rows])
        sections.append(f"## {HEADINGS[component]}\n\n{table}\n")
    return "\n".join(sections)


def _treatment(variable: Variable) -> str:
    verb = VERBS[variable.policy]
    if variable.fixed:
        return f"{verb}: {variable.fixed.what(variable.name)}. {variable.fixed.instead}"
    direction = "use" if variable.policy is Policy.NO_EFFECT else "from"
    notes = [f"{direction} `{variable.field.replace(' and ', '` and `')}`"] if variable.field else []
    notes += [variable.note] if variable.note else []
    return f"{verb}: {'; '.join(notes)}" if notes else verb
