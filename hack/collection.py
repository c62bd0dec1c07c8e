# SPDX-License-Identifier: Apache-2.0
"""Build the collection so that the same files make the same archive: `python hack/collection.py FOLDER`.

`ansible-galaxy collection build` lists files as the file system does, and writes the time of the build beside each of
them. Everything else is its work: it is run, and its archive is written again with sorted names and one time,
SOURCE_DATE_EPOCH if that is set (https://reproducible-builds.org/specs/source-date-epoch/).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
EPOCH = 1580601600
"""2020-02-02, which hatchling writes into wheels if SOURCE_DATE_EPOCH is not set."""
LISTS = ("MANIFEST.json", "FILES.json")


def main(argv: Sequence[str]) -> int:
    """Print the path of the archive."""
    [folder] = argv
    with tempfile.TemporaryDirectory() as scratch:
        program = Path(sys.executable).parent / "ansible-galaxy"
        command = [str(program), "collection", "build", "--output-path", scratch]
        # Ansible starts with UTF-8 only
        env = {**os.environ, "LC_ALL": "C.UTF-8"}
        subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=sys.stderr)
        [built] = Path(scratch).glob("*.tar.gz")
        target = Path(folder) / built.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(normalized(built.read_bytes(), int(os.environ.get("SOURCE_DATE_EPOCH") or EPOCH)))
    print(target)
    return 0


def normalized(archive: bytes, epoch: int) -> bytes:
    """The same archive of a collection, with sorted lists and entries, all of them of the time `epoch`."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as source:
        entries = {info.name: info for info in source.getmembers()}
        contents = {
            name: file.read() for name, info in entries.items() if info.isfile() and (file := source.extractfile(info))
        }
    files = json.loads(contents["FILES.json"])
    files["files"].sort(key=lambda entry: entry["name"])
    contents["FILES.json"] = _json(files)
    manifest = json.loads(contents["MANIFEST.json"])
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(contents["FILES.json"]).hexdigest()
    contents["MANIFEST.json"] = _json(manifest)
    output = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=output, mode="wb", filename="", mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w") as target,
    ):
        for name in (*LISTS, *sorted(entries.keys() - set(LISTS))):
            info, content = entries[name], contents.get(name, b"")
            info.mtime, info.size = epoch, len(content)
            info.pax_headers = {}
            target.addfile(info, io.BytesIO(content))
    return output.getvalue()


def _json(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, indent=True).encode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
