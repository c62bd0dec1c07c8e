# SPDX-License-Identifier: Apache-2.0
"""The loop that runs an Ansible role whenever a custom resource or what depends on it changes."""

__version__ = "0.1.0"
