# SPDX-License-Identifier: Apache-2.0
"""Connections to a real API server, with TLS."""

from __future__ import annotations

import base64
import copy
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import Misconfigured, Unreachable
from ansible_collections.media.immich.plugins.plugin_utils.kube.connection_settings import ConnectionSettings
from ansible_collections.media.immich.plugins.plugin_utils.kube.transport import connect
from localcluster.testing import Cluster


@pytest.fixture
def inline(cluster: Cluster) -> dict[str, Any]:
    """The cluster's kubeconfig with all certificates in it."""
    content: dict[str, Any] = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))
    for section, key in (("clusters", "cluster"), ("users", "user")):
        for entry in content[section]:
            files = [
                name for name in entry[key] if name in ("certificate-authority", "client-certificate", "client-key")
            ]
            for name in files:
                file = Path(cluster.kubeconfig.parent, entry[key].pop(name))
                entry[key][f"{name}-data"] = base64.b64encode(file.read_bytes()).decode()
    return content


def test_certificates_in_a_kubeconfig_leave_no_file_behind(
    inline: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    for _ in range(2):  # the client remembers the names of files that it has written
        with connect(ConnectionSettings(kubeconfig=inline), {}) as transport:
            assert transport.request("GET", "/version")["major"]

        assert list(tmp_path.iterdir()) == []


def test_a_certificate_that_is_not_trusted_is_reported_as_such(inline: dict[str, Any]) -> None:
    strange = copy.deepcopy(inline)
    for entry in strange["clusters"]:
        entry["cluster"].pop("certificate-authority-data")

    with connect(ConnectionSettings(kubeconfig=strange), {}) as transport, pytest.raises(Unreachable) as raised:
        transport.request("GET", "/version")

    assert "has no trusted certificate" in str(raised.value)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_verification_can_be_switched_off(inline: dict[str, Any]) -> None:
    with connect(ConnectionSettings(kubeconfig=inline, validate_certs=False), {}) as transport:
        assert transport.request("GET", "/version")["major"]


def test_an_unusable_certificate_file_is_named_before_any_request(inline: dict[str, Any], tmp_path: Path) -> None:
    broken = tmp_path / "ca.crt"
    broken.write_text("no certificate", encoding="utf-8")

    with pytest.raises(Misconfigured, match=r"the certificates for https://.* are unusable"):
        connect(ConnectionSettings(kubeconfig=inline, ca_cert=str(broken)), {})
