# SPDX-License-Identifier: Apache-2.0
"""Free TCP ports, chosen by the kernel."""

import socket
from contextlib import ExitStack

__all__ = ["free_ports"]


def free_ports(names: tuple[str, ...], address: str = "127.0.0.1") -> dict[str, int]:
    """One free port per name, all different.

    They are held at the same time while being chosen. Another process can still take one before it is used,
    so the caller starts again with other ports if a component says "address already in use".
    """
    with ExitStack() as stack:
        ports = {}
        for name in names:
            listener = stack.enter_context(socket.socket())
            listener.bind((address, 0))
            ports[name] = listener.getsockname()[1]
    return ports
