# SPDX-License-Identifier: Apache-2.0
"""What stands in YAML for each component of plugin_utils/components/registry.py: its task, its image, who may choose that.

Between two comments, in files that are written by hand for the rest.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.media.immich.plugins.plugin_utils.components import registry
from ansible_collections.media.immich.plugins.plugin_utils.passes.sections import Section

__all__ = ["BEGIN", "END", "MANAGER", "files", "with_block"]

ROOT = Path(__file__).resolve().parents[1]
PLAY = ROOT / "roles" / "immich" / "tasks" / "play.yml"
ARGUMENTS = ROOT / "roles" / "immich" / "meta" / "argument_specs.yml"
MANAGER = ROOT / "config" / "manager" / "manager.yaml"

BEGIN = "# of hack.generate, from components/registry.py"
END = "# end of what is generated"

RESOURCE = """\
- name: Custom resource # everything that it owns is removed with it, so it stays while a component is left out
  media.immich.apply:
    section: "{{{{ '' if ansible_skip_tags | intersect(__immich_components) else 'custom-resource' }}}}"
  vars:
    __immich_components: [{components}]
  register: immich_outcome
  tags: custom-resource

"""
TASK = """\
- name: {title}
  media.immich.apply:
    section: {component}
  register: immich_outcome
  tags: {component}

"""
OPTION = """\
{component}:
  description: {what}.
  type: str
"""
VARIABLE = """\
- name: {variable}
  value: {default}
"""


def files() -> dict[Path, str]:
    """{file: text}; ValueError as in `with_block`."""
    components = ", ".join([*registry.names(), Section.INGRESS])
    blocks = {
        PLAY: [
            RESOURCE.format(components=components),
            *(TASK.format(component=each.component, title=each.title) for each in registry.COMPONENTS),
        ],
        ARGUMENTS: [
            OPTION.format(component=component, what=image.what) for component, image in registry.all_images().items()
        ],
        MANAGER: [
            VARIABLE.format(variable=image.variable, default=image.default) for image in registry.all_images().values()
        ],
    }
    return {file: with_block(file, pieces) for file, pieces in blocks.items()}


def with_block(file: Path, pieces: Iterable[str]) -> str:
    """The text of a file, with these pieces between the two comments, indented like them; ValueError if it lacks them."""
    before, begin, rest = file.read_text(encoding="utf-8").partition(BEGIN)
    _former, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{file}: there are no lines `{BEGIN}` and `{END}` between which something could stand")
    indent = before.rpartition("\n")[2]
    return f"{before}{begin}\n{textwrap.indent(''.join(pieces), indent)}{indent}{end}{after}"
