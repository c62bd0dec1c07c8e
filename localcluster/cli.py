# SPDX-License-Identifier: Apache-2.0
"""`python -m localcluster up|down|load|status|env|build`."""

import argparse
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from localcluster import build
from localcluster.cluster import LocalCluster
from localcluster.errors import LocalClusterError
from localcluster.nodes import Nodes
from localcluster.nodes.kinds import KINDS
from localcluster.nodes.simulated import SimulatedNodes
from localcluster.programs import CONTROL_PLANE, PROGRAMS
from localcluster.progress import Progress
from localcluster.state import DEFAULT_NAME, Folder, default_state

__all__ = ["main", "parser"]

_EPILOG = """\
environment:
  KUBEBUILDER_ASSETS   a folder with etcd, kube-apiserver, kubectl (and others); what it contains is not built
  LOCALCLUSTER_NAME    default of --name
  LOCALCLUSTER_STATE   default of --state
  XDG_CACHE_HOME       where built programs and, by default, clusters are kept (~/.cache)

example:
  python -m localcluster up
  eval "$(python -m localcluster env)"
  kubectl get nodes
  python -m localcluster down
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m localcluster",
        description="A real Kubernetes on this machine, without Docker: with simulated nodes, or one that runs containers.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--name",
        default=os.environ.get("LOCALCLUSTER_NAME") or DEFAULT_NAME,
        help="which cluster; several can run side by side (default: %(default)s)",
    )
    common.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        default=default_state(),
        help="folder in which each cluster has its own folder, by name (default: %(default)s)",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", parents=[common], help="start a cluster; harmless if it is already running")
    up.add_argument("--nodes", type=_count, default=1, metavar="N", help="number of nodes (default: %(default)s)")
    up.add_argument(
        "--node",
        choices=sorted(KINDS),
        default="simulated",
        help="what acts as the nodes: kwok, without containers, or containerd and kubelet, which need root "
        "(default: %(default)s)",
    )
    load = commands.add_parser("load", parents=[common], help="load images into a real node")
    load.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE", help="docker or OCI archive (a tar file)")
    commands.add_parser("down", parents=[common], help="stop a cluster and remove everything it has written")
    commands.add_parser(
        "status", parents=[common], help="list what is running, with ports and logs; exits 1 if the cluster is not up"
    )
    commands.add_parser("env", parents=[common], help="print shell commands that point kubectl at the cluster")
    make = commands.add_parser("build", parents=[common], help="build the programs now rather than at the first `up`")
    make.add_argument(
        "programs", nargs="*", metavar="PROGRAM", help=f"which (default: what `up` needs): {', '.join(PROGRAMS)}"
    )
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 on success, 1 if it failed, 130 if interrupted."""
    arguments = parser().parse_args(argv)
    if sys.platform != "linux":
        print("The local cluster needs Linux: it reads /proc and uses pidfds.", file=sys.stderr)
        return 1
    try:
        return _run(arguments)
    except LocalClusterError as error:
        print(error, *getattr(error, "__notes__", ()), sep="\n", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader (`| head`) has closed the pipe. Nothing more is written, so that exiting can't fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace) -> int:
    folder = Folder(arguments.state.absolute(), arguments.name)
    cluster = LocalCluster(folder)
    match arguments.command:
        case "up":
            return _up(cluster, KINDS[arguments.node](arguments.nodes))
        case "load":
            cluster.load(arguments.archives)
            return 0
        case "down":
            existed = cluster.down()
            print(f"Cluster {folder.name} is down." if existed else f"There is no cluster {folder.name}.")
            return 0
        case "status":
            return _status(cluster)
        case "env":
            if not cluster.is_up():
                raise LocalClusterError(f"Cluster {folder.name} is not up; start it with: {_command('up', folder)}")
            for name, value in cluster.environment().items():
                print(f"export {name}={shlex.quote(value)}")
            return 0
        case _:
            return _build(arguments.programs)


def _up(cluster: LocalCluster, nodes: Nodes) -> int:
    folder = cluster.folder
    started = time.monotonic()
    fresh = cluster.up(nodes=nodes, progress=Progress())
    if fresh:
        print(f"Cluster {folder.name} is up after {time.monotonic() - started:.1f} s.")
    else:
        print(f"Cluster {folder.name} was up already.")
    print(f'Use it with: eval "$({_command("env", folder)})"')
    return 0


def _status(cluster: LocalCluster) -> int:
    folder = cluster.folder
    components = cluster.status()
    if not components:
        print(f"There is no cluster {folder.name}.")
        return 1
    is_up = cluster.is_up()
    print(f"Cluster {folder.name} is {'up' if is_up else 'not up'}.")
    for entry in components:
        state = "running" if entry.running else "ended"
        print(f"  {entry.name:<24} {state:<8} pid {entry.pid:<8} port {entry.port:<6} {entry.log}")
    print(f"  audit log    {folder.audit_log}")
    print(f"  kubeconfig   {folder.kubeconfig}")
    return 0 if is_up else 1


def _build(names: Sequence[str]) -> int:
    unknown = sorted(set(names) - set(PROGRAMS))
    if unknown:
        raise LocalClusterError(f"Unknown program {', '.join(unknown)}; there are: {', '.join(PROGRAMS)}")
    wanted = names or (*CONTROL_PLANE, *SimulatedNodes().programs)
    for name, path in build.ensure(wanted, Progress()).items():
        print(f"{name:<24} {path}")
    return 0


def _command(verb: str, folder: Folder) -> str:
    """The command line for the same cluster, without the defaults."""
    parts = ["python", "-m", "localcluster", verb]
    if folder.name != (os.environ.get("LOCALCLUSTER_NAME") or DEFAULT_NAME):
        parts += ["--name", folder.name]
    if folder.state != default_state():
        parts += ["--state", str(folder.state)]
    return shlex.join(parts)


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 1 and 1000")
    return number
