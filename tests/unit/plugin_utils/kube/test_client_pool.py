# SPDX-License-Identifier: Apache-2.0
"""What a process of minutes and one of months need of a pool: certificates that stay, and certificates that are renewed."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.media.immich.plugins.plugin_utils.kube.api_error import Misconfigured
from ansible_collections.media.immich.plugins.plugin_utils.kube.client_pool import configured_pool, long_lived_pool
from ansible_collections.media.immich.plugins.plugin_utils.kube.connection_settings import ConnectionSettings

AUTHORITIES = ssl.get_default_verify_paths().cafile


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """A kubeconfig that names the file of its certificate authority."""
    (tmp_path / "ca.crt").write_bytes(Path(AUTHORITIES or "").read_bytes())
    cluster = {"server": "https://127.0.0.1:1", "certificate-authority": str(tmp_path / "ca.crt")}
    target = tmp_path / "config"
    content: dict[str, Any] = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
    }
    target.write_text(yaml.safe_dump(content), encoding="utf-8")
    return target


needs_authorities = pytest.mark.skipif(not AUTHORITIES, reason="this machine has no file of certificate authorities")


@needs_authorities
def test_the_connections_of_a_pass_share_certificates_that_were_read_once(config_file: Path) -> None:
    _, pool = configured_pool(ConnectionSettings(kubeconfig=str(config_file)), {}, connections=3)

    assert isinstance(pool.connection_pool_kw["ssl_context"], ssl.SSLContext)
    assert "ca_certs" not in pool.connection_pool_kw


@needs_authorities
def test_each_connection_of_a_process_that_lives_on_reads_the_certificates_again(config_file: Path) -> None:
    _, pool = long_lived_pool(ConnectionSettings(kubeconfig=str(config_file)), {}, connections=64, remedy="")

    assert "ssl_context" not in pool.connection_pool_kw
    assert pool.connection_pool_kw["ca_certs"] == str(config_file.parent / "ca.crt")


@needs_authorities
def test_a_peer_that_falls_silent_is_noticed_although_nobody_sends(config_file: Path) -> None:
    _, pool = long_lived_pool(ConnectionSettings(kubeconfig=str(config_file)), {}, connections=64, remedy="")

    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in pool.connection_pool_kw["socket_options"]


def test_what_is_missing_says_what_helps_here(tmp_path: Path) -> None:
    nowhere = ConnectionSettings(kubeconfig=str(tmp_path / "none"))

    with pytest.raises(Misconfigured, match=rf"in {tmp_path}/none: .*\. Use the flag$"):
        long_lived_pool(nowhere, {}, connections=1, remedy="Use the flag")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: &a [*a]", id="an-alias-to-itself"),
        pytest.param(
            "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)), id="a-bomb"
        ),
    ],
)
def test_a_kubeconfig_beyond_a_bound_is_named_with_the_bound(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)

    with pytest.raises(Misconfigured, match=rf"{file}: (line 1: an alias|it has more than 500,000 values)"):
        configured_pool(ConnectionSettings(kubeconfig=str(file)), {}, connections=1)


def test_a_kubeconfig_in_a_variable_that_holds_itself_is_refused() -> None:
    loop: dict[str, object] = {}
    loop["clusters"] = [loop]

    with pytest.raises(Misconfigured, match="the given kubeconfig: it is nested more than 100 levels deep"):
        configured_pool(ConnectionSettings(kubeconfig=loop), {}, connections=1)  # type: ignore[arg-type]
