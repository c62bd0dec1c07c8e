# SPDX-License-Identifier: Apache-2.0
"""All kinds of nodes by name; the name is stored in a cluster's record."""

from collections.abc import Callable, Mapping

from localcluster.nodes import Nodes
from localcluster.nodes.real import RealNode
from localcluster.nodes.simulated import SimulatedNodes

__all__ = ["KINDS"]

KINDS: Mapping[str, Callable[[int], Nodes]] = {"simulated": SimulatedNodes, "real": RealNode}
