# SPDX-License-Identifier: Apache-2.0
"""The process as a whole: startup, leadership, health, logs, shutdown."""
