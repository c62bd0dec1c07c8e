# SPDX-License-Identifier: Apache-2.0
"""The loop that runs an Ansible role whenever a custom resource or what depends on it changes."""

__version__ = "0.1.0"
NAME = "immich-operator"
"""Field manager, source of Events, user agent: what the API server knows this program by."""
