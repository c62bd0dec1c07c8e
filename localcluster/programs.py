# SPDX-License-Identifier: Apache-2.0
"""Which programs there are, where each comes from, and the name of its cached build."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from localcluster.errors import ProgramError

__all__ = ["CONTROL_PLANE", "PROGRAMS", "Program", "cache_folder", "from_assets"]

SOURCES = Path(__file__).parent / "programs"
OPERATOR_SDK = "github.com/operator-framework/ansible-operator-plugins"
"""Its runtime is not part of a cluster; the tests run our role on it."""


@dataclass(frozen=True)
class Program:
    """A program built from one of our Go modules (a folder below programs/), which pins everything it is made of."""

    name: str
    module: str
    package: str
    version_of: str

    @property
    def source(self) -> Path:
        """Folder of the Go module."""
        return SOURCES / self.module

    @cached_property
    def _go_mod(self) -> str:
        return (self.source / "go.mod").read_text(encoding="utf-8")

    @cached_property
    def version(self) -> str:
        """Version of the program, such as v1.37.2, as go.mod pins it."""
        match = re.search(rf"^\s*(?:require )?{re.escape(self.version_of)} (v\S+)", self._go_mod, re.MULTILINE)
        if match is None:
            raise ProgramError(f"{self.source / 'go.mod'} does not require {self.version_of}")
        return match[1]

    @cached_property
    def go_version(self) -> str:
        """Oldest Go that can build it, such as 1.26.0."""
        match = re.search(r"^go (\S+)$", self._go_mod, re.MULTILINE)
        if match is None:
            raise ProgramError(f"{self.source / 'go.mod'} has no go line")
        return match[1]

    @cached_property
    def build_flags(self) -> tuple[str, ...]:
        """Flags for `go build`: no writes to go.mod, no local paths, no debug tables, the version embedded."""
        link = ["-s", "-w"]
        if self.module == "kubernetes":
            major, minor, _ = self.version.removeprefix("v").split(".", 2)
            package = "k8s.io/component-base/version"
            link += ["-X", f"{package}.gitVersion={self.version}"]
            link += ["-X", f"{package}.gitMajor={major}", "-X", f"{package}.gitMinor={minor}"]
        return ("-mod=readonly", "-trimpath", "-ldflags", " ".join(link))

    @cached_property
    def key(self) -> str:
        """Name of the cached build; changes with everything that goes into it."""
        digest = hashlib.sha256()
        for part in (
            (self.source / "go.mod").read_bytes(),
            (self.source / "go.sum").read_bytes(),
            "\0".join(self.build_flags).encode(),
            *(path.read_bytes() for path in sorted(self.source.glob("*.go"))),
        ):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        return f"{self.name}-{self.version}-{digest.hexdigest()[:16]}"


def _kubernetes(name: str) -> Program:
    return Program(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", "k8s.io/kubernetes")


PROGRAMS: Mapping[str, Program] = {
    program.name: program
    for program in (
        Program("etcd", "etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubectl"),
        _kubernetes("kubelet"),
        _kubernetes("kube-proxy"),
        Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", "sigs.k8s.io/kwok"),
        Program("gitops", "gitops", ".", "github.com/argoproj/gitops-engine"),
        Program("coredns", "coredns", "github.com/coredns/coredns", "github.com/coredns/coredns"),
        Program("ansible-operator", "ansible-operator", f"{OPERATOR_SDK}/cmd/ansible-operator", OPERATOR_SDK),
    )
}

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")


def cache_folder(env: Mapping[str, str] | None = None) -> Path:
    """The project's folder in the user's cache (XDG base directory specification)."""
    env = os.environ if env is None else env
    return Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "immich-operator"


def from_assets(name: str, env: Mapping[str, str] | None = None) -> Path | None:
    """The program in the folder KUBEBUILDER_ASSETS (convention of envtest), None if it is not there."""
    assets = (os.environ if env is None else env).get("KUBEBUILDER_ASSETS")
    if not assets:
        return None
    folder = Path(assets)
    if not folder.is_dir():
        raise ProgramError(f"KUBEBUILDER_ASSETS={assets} is not a folder; correct it, or unset it to build from source")
    path = folder / name
    return path.resolve() if os.access(path, os.X_OK) and path.is_file() else None
