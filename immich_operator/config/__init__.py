# SPDX-License-Identifier: Apache-2.0
"""What the administrator has set: settings, watches.yaml, and what a resource may set for its own passes."""
