# SPDX-License-Identifier: Apache-2.0
"""Talking to an API server, and the shapes of what it says."""
