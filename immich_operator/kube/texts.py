# SPDX-License-Identifier: Apache-2.0
"""The collection's way to show what others wrote. Apart from `client`, because the command line starts without that."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same file, by the name under which mypy reads it
    from plugins.plugin_utils.kube.values import fitted, visible
else:
    from ansible_collections.media.immich.plugins.plugin_utils.kube.values import fitted, visible

__all__ = ["fitted", "visible"]
