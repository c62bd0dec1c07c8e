# SPDX-License-Identifier: Apache-2.0
"""What the administrator says: settings, watches.yaml, and what a resource may set for its own passes."""
