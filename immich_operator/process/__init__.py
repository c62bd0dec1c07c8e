# SPDX-License-Identifier: Apache-2.0
"""The process as a whole: start, leadership, health, logs, end."""
