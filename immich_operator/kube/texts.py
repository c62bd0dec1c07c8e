# SPDX-License-Identifier: Apache-2.0
"""What the collection does with texts of others: what is a name, how deep and how long they may be, and what of them is shown.

Apart from `client`, because the command line starts without that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same files, by the name under which mypy reads them
    from plugins.plugin_utils.kube.bounded_yaml import TooLarge, check, read_text
    from plugins.plugin_utils.kube.commands import is_name
    from plugins.plugin_utils.kube.values import DEEPEST, fitted, visible
else:
    from ansible_collections.media.immich.plugins.plugin_utils.kube.bounded_yaml import TooLarge, check, read_text
    from ansible_collections.media.immich.plugins.plugin_utils.kube.commands import is_name
    from ansible_collections.media.immich.plugins.plugin_utils.kube.values import DEEPEST, fitted, visible

__all__ = ["DEEPEST", "TooLarge", "check", "fitted", "is_name", "read_text", "visible"]
