# SPDX-License-Identifier: Apache-2.0
"""Addresses that controllers write into the status of what they serve."""

from __future__ import annotations

from ..kube.values import Manifest, dig


def of_load_balancer(live: Manifest) -> str:
    """Where a Service or an Ingress is reached; "" while nobody serves it."""
    entries = dig(live, "status", "loadBalancer", "ingress", default=[])
    return next((str(found) for entry in entries if (found := entry.get("hostname") or entry.get("ip"))), "")


def in_url(address: str) -> str:
    """A name or an address as a URL has it: one of IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address
