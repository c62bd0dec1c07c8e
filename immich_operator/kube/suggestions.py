# SPDX-License-Identifier: Apache-2.0
"""`closest` of the collection: what somebody may have meant by an unknown word."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same file, by the name under which mypy reads it
    from plugins.plugin_utils.kube.suggestions import closest
else:
    from ansible_collections.media.immich.plugins.plugin_utils.kube.suggestions import closest

__all__ = ["closest"]
