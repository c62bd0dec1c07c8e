# SPDX-License-Identifier: Apache-2.0
"""The collection's client, which loop and passes share: all that the loop uses from the collection comes from here.

It imports neither Ansible nor, before it connects, the `kubernetes` package. Its errors are in `immich_operator.errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same files, by the name under which mypy reads them
    from plugins.plugin_utils.kube.api_error import ObjectRef
    from plugins.plugin_utils.kube.api_objects import ApiObjects
    from plugins.plugin_utils.kube.connection_settings import ConnectionSettings
    from plugins.plugin_utils.kube.kinds import named
    from plugins.plugin_utils.kube.permit import TOKEN_BYTES as PERMIT_TOKEN_BYTES
    from plugins.plugin_utils.kube.permit import VARIABLE as PERMIT_VARIABLE
    from plugins.plugin_utils.kube.permit import clock, permit_of
    from plugins.plugin_utils.kube.permit import packed as packed_permit
    from plugins.plugin_utils.kube.status_merge import merged_conditions
    from plugins.plugin_utils.kube.status_writer import post_events
    from plugins.plugin_utils.kube.suggestions import closest
    from plugins.plugin_utils.kube.timestamps import seconds_of, text_of
    from plugins.plugin_utils.kube.transport import Transport
    from plugins.plugin_utils.kube.values import FIELD_MANAGER, fitted, in_one_line, values_at, whole_number
    from plugins.plugin_utils.kube.watch_stream import WatchStream
else:
    from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import ObjectRef
    from ansible_collections.media.immich.plugins.plugin_utils.kube.api_objects import ApiObjects
    from ansible_collections.media.immich.plugins.plugin_utils.kube.connection_settings import ConnectionSettings
    from ansible_collections.media.immich.plugins.plugin_utils.kube.kinds import named
    from ansible_collections.media.immich.plugins.plugin_utils.kube.permit import TOKEN_BYTES as PERMIT_TOKEN_BYTES
    from ansible_collections.media.immich.plugins.plugin_utils.kube.permit import VARIABLE as PERMIT_VARIABLE
    from ansible_collections.media.immich.plugins.plugin_utils.kube.permit import clock, permit_of
    from ansible_collections.media.immich.plugins.plugin_utils.kube.permit import packed as packed_permit
    from ansible_collections.media.immich.plugins.plugin_utils.kube.status_merge import merged_conditions
    from ansible_collections.media.immich.plugins.plugin_utils.kube.status_writer import post_events
    from ansible_collections.media.immich.plugins.plugin_utils.kube.suggestions import closest
    from ansible_collections.media.immich.plugins.plugin_utils.kube.timestamps import seconds_of, text_of
    from ansible_collections.media.immich.plugins.plugin_utils.kube.transport import Transport
    from ansible_collections.media.immich.plugins.plugin_utils.kube.values import (
        FIELD_MANAGER,
        fitted,
        in_one_line,
        values_at,
        whole_number,
    )
    from ansible_collections.media.immich.plugins.plugin_utils.kube.watch_stream import WatchStream

__all__ = [
    "FIELD_MANAGER",
    "PERMIT_TOKEN_BYTES",
    "PERMIT_VARIABLE",
    "ApiObjects",
    "ConnectionSettings",
    "ObjectRef",
    "Transport",
    "WatchStream",
    "clock",
    "closest",
    "fitted",
    "in_one_line",
    "merged_conditions",
    "named",
    "packed_permit",
    "permit_of",
    "post_events",
    "seconds_of",
    "text_of",
    "values_at",
    "whole_number",
]
