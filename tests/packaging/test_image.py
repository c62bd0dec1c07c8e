# SPDX-License-Identifier: Apache-2.0
"""The image, built on a stand-in for its base and run as strictly as a cluster would. Needs root, buildah, mmdebstrap.

There is no container runtime in this: a chroot with a read-only root, no capability and no way to new privileges.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import immich_operator
from hack import sbom
from immich_operator.config.roles import RoleSearch
from localcluster.testing import Cluster
from tests.packaging.conftest import ROOT, install_api, run

IMAGE = "localhost/immich-operator:test"
UPSTREAM_IMAGE = "localhost/immich-operator:test-ansible-operator"
MAX_SIZE_MIB = 330
"""Of the stand-in 128; a good third of the rest is the Kubernetes client's models."""
WITHOUT_LICENSE_FILE = ["lockfile"]
"""Packages of which the wheel lacks the text of the license; all of them name it in their metadata."""
USERS = [
    pytest.param("1001:0", id="the image's own user"),
    pytest.param("1000680000:0", id="an arbitrary user of group 0"),
]
WRITABLE = ("/tmp", "/var/lib/immich-operator")  # noqa: S108 - the container's own

# Seen by the program: the image read-only, an empty directory that its group may write to where the Deployment has
# an emptyDir, and this machine's /proc, /dev and network. $1 root, $2 user:group, $3 working directory, then the command.
SANDBOX = """
set -eu
root=$1 user=$2 folder=$3
shift 3
mount --bind "$root" "$root"
mount -o remount,ro,bind "$root"
for place in $WRITABLE; do
  mount -t tmpfs -o mode=0777 tmpfs "$root$place"
done
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
for file in $SHOWN; do
  touch "$root/tmp/$(basename "$file")"
  mount --bind "$file" "$root/tmp/$(basename "$file")"
done
exec chroot "$root" setpriv --reuid="${user%:*}" --regid="${user#*:}" --clear-groups \
  --no-new-privs --bounding-set=-all --inh-caps=-all /bin/sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
"""


@dataclass(frozen=True, slots=True)
class Image:
    """A built image, unpacked."""

    root: Path
    config: dict[str, Any]
    size_mib: float

    def command(self, user: str, *args: str) -> list[str]:
        folder = self.config["WorkingDir"]
        return ["unshare", "--mount", "sh", "-c", SANDBOX, "sandbox", str(self.root), user, folder, *args]

    def env(self, extra: dict[str, str] | None = None, shown: Sequence[Path] = ()) -> dict[str, str]:
        """What the image sets, over nothing; `shown` files are in /tmp."""
        own = dict(entry.split("=", 1) for entry in self.config["Env"])
        sandbox = {"WRITABLE": " ".join(WRITABLE), "SHOWN": " ".join(map(str, shown))}
        return {**own, "PATH": f"{own['PATH']}:/usr/sbin:/sbin", **sandbox, **(extra or {})}

    def run(self, user: str, *args: str) -> str:
        done = subprocess.run(
            self.command(user, *args), env=self.env(), capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def built(name: str, dockerfile: str) -> Iterator[Image]:
    run(ROOT / "hack" / "image" / "build.sh", name, cwd=ROOT, env={"DOCKERFILE": dockerfile})
    inspected = json.loads(run("buildah", "inspect", "--type", "image", name, cwd=ROOT))
    container = run("buildah", "from", "--pull-never", name, cwd=ROOT).strip()
    try:
        root = Path(run("buildah", "mount", container, cwd=ROOT).strip())
        kib = int(run("du", "--summarize", "--one-file-system", root, cwd=ROOT).split()[0])
        yield Image(root, inspected["OCIv1"]["config"], kib / 1024)
    finally:
        run("buildah", "rm", container, cwd=ROOT)


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with built(IMAGE, "Dockerfile") as unpacked:
        yield unpacked


@pytest.fixture(scope="module")
def upstream() -> Iterator[Image]:
    """The image for the Operator SDK's runtime, on a stand-in that has no such runtime: files and variables only."""
    with built(UPSTREAM_IMAGE, "Dockerfile.ansible-operator") as unpacked:
        yield unpacked


@pytest.mark.parametrize("user", USERS)
def test_the_program_runs_as_any_user_on_a_read_only_root(image: Image, user: str) -> None:
    answer = image.run(user, "immich-operator", "version")

    assert answer.startswith(f"immich-operator {immich_operator.__version__} (Python 3.13")


@pytest.mark.parametrize("user", USERS)
def test_nothing_but_the_two_volumes_can_be_written(image: Image, user: str) -> None:
    script = """
        for folder in / /opt/immich-operator /etc /usr/bin; do
          if touch $folder/x 2>/dev/null; then echo $folder; fi
        done
        touch ~/x /tmp/x
    """

    answer = image.run(user, "sh", "-c", script)

    assert answer == ""


@pytest.mark.parametrize("user", USERS)
def test_ansible_runs_a_play_as_any_user(image: Image, user: str) -> None:
    answer = image.run(user, "ansible", "localhost", "-m", "ansible.builtin.command", "-a", "id -u")

    assert answer.splitlines()[-1] == user.partition(":")[0]


def test_the_entry_point_reaps_and_runs_the_operator_as_a_number_that_is_not_root(image: Image) -> None:
    assert image.config["Entrypoint"] == ["/usr/bin/tini", "--", "immich-operator", "run"]
    assert image.config["User"] == "1001:0"  # a number, so that runAsNonRoot can be checked
    assert os.access(image.root / "usr/bin/tini", os.X_OK)


PACKAGES = "import importlib.metadata as m, json; print(json.dumps([[d.name, d.version] for d in m.distributions()]))"


def test_the_list_of_parts_names_all_packages_of_the_image_and_nothing_else(image: Image) -> None:
    packages = json.loads(image.run("1001:0", "/opt/immich-operator/bin/python", "-c", PACKAGES))
    debian = image.run("1001:0", "dpkg-query", "--show", "--showformat", "${Package} ${Version}\\n").splitlines()

    listed = {(part.purl.partition("/")[0], part.name, part.version) for part in sbom.parts_of_image(image.root)}

    there = {("pkg:pypi", re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in packages}
    there |= {("pkg:deb", *line.split()) for line in debian}
    more = {(kind, name) for kind, name, _ in listed - there}
    assert there - listed == set()
    assert more == {("pkg:deb", "tini"), ("pkg:generic", "python")}, "which no package manager has put there"


def test_each_part_of_the_image_comes_with_its_license(image: Image) -> None:
    parts = sbom.parts_of_image(image.root)
    [site] = (image.root / "opt/immich-operator/lib").glob("python3*/site-packages")
    ours = site / f"immich_operator-{immich_operator.__version__}.dist-info/licenses/LICENSE"
    debian = {part.name for part in parts if part.purl.startswith("pkg:deb/")}
    without = [name for name in debian if not (image.root / "usr/share/doc" / name / "copyright").exists()]
    packages = [
        folder
        for folder in site.glob("*.dist-info")
        if not any(re.search("licen[cs]e|copying", path.name.lower()) for path in folder.rglob("*"))
    ]

    assert ours.read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert without == []
    assert sorted(folder.name.partition("-")[0] for folder in packages) == WITHOUT_LICENSE_FILE


def test_the_image_says_what_it_is(image: Image) -> None:
    labels = image.config["Labels"]

    assert labels["org.opencontainers.image.version"] == immich_operator.__version__
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.revision"]


@pytest.mark.parametrize("program", ["pip", "pip3", "hatchling", "gcc", "cc", "make", "git", "ansible-test"])
def test_there_is_no_tool_to_build_or_install_with(image: Image, program: str) -> None:
    answer = image.run("1001:0", "sh", "-c", f"command -v {program} || echo none")

    assert answer == "none\n"


def test_no_module_installs_packages_either(image: Image) -> None:
    code = (
        "import importlib.util as u; print([n for n in ('pip', 'ensurepip', 'hatchling', 'pytest') if u.find_spec(n)])"
    )

    answers = [image.run("1001:0", python, "-c", code) for python in ("python", "/usr/local/bin/python")]

    assert answers == ["[]\n", "[]\n"]


def test_everything_is_compiled_so_that_a_read_only_root_costs_no_time(image: Image) -> None:
    packages = next(image.root.glob("opt/immich-operator/lib/python3*/site-packages"))

    sources = {path.parent / path.stem for path in (packages / "immich_operator").rglob("*.py")}
    compiled = {path.parents[1] / path.name.split(".")[0] for path in (packages / "immich_operator").rglob("*.pyc")}

    assert compiled == sources


def test_the_image_stays_small(image: Image) -> None:
    assert image.size_mib < MAX_SIZE_MIB


def test_upstreams_runtime_finds_the_role_by_its_own_rules(upstream: Image) -> None:
    env = upstream.env()
    [watch] = yaml.safe_load((upstream.root / "watches.yaml").read_text(encoding="utf-8"))  # HOME is unset there

    places = RoleSearch.from_environment(env, Path("/")).candidates(watch["role"])

    found = [place for place in places if (upstream.root / place.relative_to("/")).is_dir()]
    assert found[:1] == [Path("/usr/share/ansible/collections/ansible_collections/media/immich/roles/immich")]


def test_upstreams_image_gets_the_collection_and_the_packages_that_it_lacks_and_nothing_else(upstream: Image) -> None:
    collection = upstream.root / "usr/share/ansible/collections/ansible_collections/media/immich"
    packages = upstream.root / "opt/immich-operator/packages"

    assert {path.name for path in collection.iterdir()} == {
        "crds", "galaxy.yml", "meta", "playbooks", "plugins", "roles", "watches.yaml",
    }  # fmt: skip
    assert {path.parent.name for path in packages.glob("*/__init__.py")} == {
        "attr", "attrs", "jsonschema", "openshift", "pyrsistent", "string_utils",
    }  # fmt: skip
    assert not list(packages.rglob("*.so")), "plain Python, whatever version of it upstream has"
    [watch] = yaml.safe_load((upstream.root / "watches.yaml").read_text(encoding="utf-8"))
    assert watch["blacklist"], "the watches file is that for this runtime"


def test_the_operator_of_the_image_makes_an_instance(
    image: Image, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    install_api(cluster)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(cluster.kubectl("config", "view", "--raw", "--flatten"), encoding="utf-8")
    kubeconfig.chmod(0o644)  # another user reads it
    flags = ("--watch-namespace", namespace, "--health-probe-bind-address", "0", "--metrics-bind-address", "0")
    command = image.command("1000680000:0", *image.config["Entrypoint"], *flags)
    env = image.env({"KUBECONFIG": "/tmp/kubeconfig", "RELATED_IMAGE_valkey": "valkey"}, shown=[kubeconfig])  # noqa: S108
    cr = {"apiVersion": "media.rm3l.org/v1alpha1", "kind": "Immich", "metadata": {"name": "photos"}}

    with (tmp_path / "log").open("w+") as log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as operator:
        try:
            cluster.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(cr))
            made = cluster.api.wait_for("Deployment", "photos-valkey", namespace, lambda _: True)
        finally:
            operator.terminate()
            status = operator.wait(timeout=60)
            log.seek(0)
            print(log.read())

    assert made["spec"]["template"]["spec"]["containers"][0]["image"] == "valkey"
    assert status == 0
