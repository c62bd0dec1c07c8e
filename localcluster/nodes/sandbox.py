# SPDX-License-Identifier: Apache-2.0
"""The namespaces of a real node: its processes, mounts and network are its own, and end with one process.

The process `sandbox` holds a mount, a network and a process namespace. The whole node runs inside. When it is killed,
the kernel kills everything in them (pid_namespaces(7)), and mounts, interfaces and packet filter rules vanish with
their namespaces. The rules and settings of the machine's own network are never touched; it only gets one interface
that leads to the node, with two routes. Control groups are the only thing that has to be removed explicitly.
"""

import hashlib
import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from localcluster.errors import NodeError
from localcluster.launch import Launcher, Order
from localcluster.state import Folder

__all__ = ["HOST_ADDRESS", "NETWORKS", "NODE_ADDRESS", "POD_NETWORK", "Sandbox"]

POD_NETWORK = "10.244.0.0/24"
HOST_ADDRESS = "10.244.255.1"
NODE_ADDRESS = "10.244.255.2"
_LINK = "10.244.255.0/30"
_SERVICES = "10.96.0.0/16"
NETWORKS = (POD_NETWORK, _LINK, _SERVICES)

# Private mounts first: nothing below reaches the machine. Then shared with each other, as kubelet's volumes need it.
# /run and /var/log are where containerd, its shims and kubelet put files at fixed places. Kubelet also sets values of
# the whole machine, such as that it restarts after any fault of the kernel: it gets files to write to instead. SIGCHLD
# is ignored so that the kernel reaps orphans in here.
_INIT = """
set -e
trap '' CHLD
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/log
mount -t tmpfs -o mode=755 tmpfs /var/lib/cni
for name in kernel/panic kernel/panic_on_oops vm/overcommit_memory vm/panic_on_oom \
    kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  [ -e "/proc/sys/$name" ] || continue
  mkdir -p "/run/sys/${name%/*}"
  cat "/proc/sys/$name" >"/run/sys/$name"
  mount --bind "/run/sys/$name" "/proc/sys/$name"
done
touch "$1"
exec sleep infinity
"""
_CNI_STATE = Path("/var/lib/cni")


class Sandbox:
    """The namespaces of the node of one cluster."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        # Names of interfaces have 15 characters at most.
        digest = hashlib.sha256(str(folder.root).encode()).hexdigest()[:8]
        self._interface = f"lc-{digest}"
        self.control_group = f"localcluster-{digest}"

    def start(self, launcher: Launcher) -> None:
        """Create the namespaces, a network into them, and the pods' control group."""
        _CNI_STATE.mkdir(parents=True, exist_ok=True)
        ready = self._folder.root / "sandbox-is-ready"
        order = Order(
            name="sandbox",
            program="unshare",
            arguments=(
                *("--mount", "--propagation", "private", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *("sh", "-c", _INIT, "sandbox", str(ready)),
            ),
        )
        launcher.start(order)
        launcher.wait(order, ready=ready.exists)
        self._connect(launcher)
        for group in self._control_groups():
            group.mkdir(exist_ok=True)

    def enter(self, launcher: Launcher) -> tuple[str, ...]:
        """The start of a command line that runs the rest of it in the namespaces."""
        pid = launcher.record.components["sandbox"].process.pid
        # unshare itself stays in the old process namespace; that of its children is the new one.
        return ("nsenter", f"--target={pid}", "--mount", "--net", f"--pid=/proc/{pid}/ns/pid_for_children", "--")

    def run(self, launcher: Launcher, *command: str, timeout_s: float = 300) -> str:
        """Run a command inside; its output. NodeError with its output if it fails."""
        return _run([*self.enter(launcher), *command], timeout_s)

    def stop(self) -> None:
        """The processes have ended: remove what outlives them. Safe to repeat."""
        # The kernel removes the network namespace, and with it the interface, after its last process has ended.
        interface = Path("/sys/class/net", self._interface)
        deadline = time.monotonic() + 10
        while interface.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        if interface.exists():
            subprocess.run(["ip", "link", "delete", self._interface], capture_output=True, check=False)
        # The empty folder that _CNI_STATE may have become stays: removed here, it would lose its mount in another node.
        for group in self._control_groups():
            _remove_group(group)

    def _connect(self, launcher: Launcher) -> None:
        pid = str(launcher.record.components["sandbox"].process.pid)
        _run(["ip", "link", "add", self._interface, "type", "veth", "peer", "name", "eth0", "netns", pid])
        _run(["ip", "address", "add", f"{HOST_ADDRESS}/30", "dev", self._interface])
        _run(["ip", "link", "set", self._interface, "up"])
        self.run(launcher, "ip", "address", "add", f"{NODE_ADDRESS}/30", "dev", "eth0")
        for interface in ("lo", "eth0"):
            self.run(launcher, "ip", "link", "set", interface, "up")
        self.run(launcher, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        for network in (POD_NETWORK, _SERVICES):
            _run(["ip", "route", "add", network, "via", NODE_ADDRESS, "dev", self._interface])

    def _control_groups(self) -> list[Path]:
        """The group of the pods in each hierarchy (one with version 2, one per controller with version 1)."""
        mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
        return [Path(fields[1]) / self.control_group for fields in mounts if fields[2] in ("cgroup", "cgroup2")]


def _run(command: Sequence[str], timeout_s: float = 60) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)
    if done.returncode != 0:
        raise NodeError(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


def _remove_group(group: Path) -> None:
    """Remove a control group and those below it; its last processes may still be exiting."""
    deadline = time.monotonic() + 10
    while group.exists():
        for path, _, _ in os.walk(group, topdown=False):
            with suppress(OSError):
                Path(path).rmdir()
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)
