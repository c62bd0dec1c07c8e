# SPDX-License-Identifier: Apache-2.0
"""What a real node needs from the machine, checked before anything is started; every answer says what to do."""

import ipaddress
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from localcluster.errors import NodeError

__all__ = ["CNI_FOLDERS", "CNI_PLUGINS", "FILE_SYSTEMS", "PACKAGES", "RESOLVER", "check", "cni_folder"]

# Program -> package in Debian and Ubuntu.
PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "mount": "mount",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}
CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
RESOLVER = Path("/etc/resolv.conf")
FILE_SYSTEMS = Path("/proc/filesystems")
# Debian's packages, then the release archives of the project.
CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))


def cni_folder() -> Path | None:
    """The folder with all the CNI plugins that a node needs; None if there is none."""
    for folder in CNI_FOLDERS:
        if all((folder / plugin).is_file() for plugin in CNI_PLUGINS):
            return folder
    return None


def check(networks: tuple[str, ...]) -> None:
    """NodeError that lists everything that is missing; `networks` are those that must be free."""
    missing = [*_missing(), *([] if os.geteuid() else _refused(networks))]
    if missing:
        raise NodeError("A real node cannot run on this machine:\n" + "\n".join(f"  - {line}" for line in missing))


def _missing() -> Iterator[str]:
    if os.geteuid() != 0:
        yield "it needs root, for namespaces and mounts: run the same command as root"
    absent = sorted(program for program in PACKAGES if shutil.which(program) is None)
    packages = sorted({PACKAGES[program] for program in absent})
    if cni_folder() is None:
        absent.append(f"CNI plugins {', '.join(CNI_PLUGINS)} (in {' or '.join(map(str, CNI_FOLDERS))})")
        packages.append("containernetworking-plugins")
    if absent:
        command = "apt-get install --no-install-recommends " + " ".join(packages)
        yield f"not found: {', '.join(absent)}. On Debian or Ubuntu: {command}"
    if "\toverlay\n" not in FILE_SYSTEMS.read_text(encoding="ascii"):
        yield "the kernel has no overlay file system: modprobe overlay"


def _refused(networks: tuple[str, ...]) -> Iterator[str]:
    """What even root may not be allowed to do, in a container for example."""
    if all(shutil.which(program) for program in ("unshare", "ip")):
        command = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "true"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f"new namespaces can't be created ({done.stderr.strip()}): CAP_SYS_ADMIN and CAP_NET_ADMIN are needed"
        routes = subprocess.run(["ip", "-o", "route", "show"], capture_output=True, text=True, check=False).stdout
        for network in map(ipaddress.ip_network, networks):
            yield from _uses(network, routes.splitlines())


def _uses(network: ipaddress.IPv4Network | ipaddress.IPv6Network, routes: list[str]) -> Iterator[str]:
    """What on this machine already uses the network and would become unreachable."""
    for route in routes:
        # "10.0.0.0/8 via ...", "blackhole 10.0.0.0/8", "default via ..."
        target = next((word for word in route.split()[:2] if word[0].isdigit()), None)
        if target and not route.startswith("default") and network.overlaps(ipaddress.ip_network(target)):
            yield (
                f"the network {network} is in use ({route.strip()}): only one cluster with a real node runs at a time; "
                "find it with `python -m localcluster status --name NAME` and take it `down`"
            )
            return
    servers = [words[1] for line in _lines(RESOLVER) if (words := line.split())[:1] == ["nameserver"]]
    for address in [*servers, os.environ.get("KUBERNETES_SERVICE_HOST", "")]:
        if address and "%" not in address and ipaddress.ip_address(address) in network:
            yield f"{address} is in the network {network}, which would be routed to the node: run it on another machine"
            return


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
