# SPDX-License-Identifier: Apache-2.0
"""The ports on which pods of an instance listen."""

from __future__ import annotations

SERVER = 2283
MACHINE_LEARNING = 3003
VALKEY = 6379
POSTGRES = 5432
METRICS = {"metrics-api": 8081, "metrics-ms": 8082}
"""Of the server, {name: number}: of its API, and of its background jobs."""
