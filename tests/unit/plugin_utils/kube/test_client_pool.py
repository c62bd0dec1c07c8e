# SPDX-License-Identifier: Apache-2.0
"""What a process of minutes and one of months need of a pool: certificates that stay, and certificates that are renewed."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.config import incluster_config

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
    _, pool, _ = long_lived_pool(ConnectionSettings(kubeconfig=str(config_file)), {}, connections=64, remedy="")

    assert "ssl_context" not in pool.connection_pool_kw
    assert pool.connection_pool_kw["ca_certs"] == str(config_file.parent / "ca.crt")


@needs_authorities
def test_a_peer_that_falls_silent_is_noticed_although_nobody_sends(config_file: Path) -> None:
    _, pool, _ = long_lived_pool(ConnectionSettings(kubeconfig=str(config_file)), {}, connections=64, remedy="")

    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in pool.connection_pool_kw["socket_options"]


def with_a_token_file(folder: Path) -> Path:
    content: dict[str, Any] = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"tokenFile": str(folder / "token")}}],
    }
    (folder / "token").write_text("first")
    (folder / "config").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder / "config"


def token_of(configuration: Any) -> str:
    value: str = configuration.auth_settings()["BearerToken"]["value"]
    return value


def test_a_token_in_a_file_that_was_written_anew_is_read_again(tmp_path: Path) -> None:
    settings = ConnectionSettings(kubeconfig=str(with_a_token_file(tmp_path)))
    configuration, _, renew = long_lived_pool(settings, {}, connections=1, remedy="")
    before = token_of(configuration)
    (tmp_path / "token").write_text("second")

    assert renew()
    assert (before, token_of(configuration)) == ("Bearer first", "Bearer second")


def test_the_token_of_a_pod_is_read_again_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client waits for a minute by the clock of the node, which may have been set back by hours meanwhile."""
    for name, text in (("TOKEN", "first"), ("CERT", "certificates")):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(incluster_config, f"SERVICE_{name}_FILENAME", str(tmp_path / name))
    environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    configuration, _, renew = long_lived_pool(ConnectionSettings(), environment, connections=1, remedy="")
    (tmp_path / "TOKEN").write_text("second")
    unasked = token_of(configuration)

    assert renew()
    assert (unasked, token_of(configuration)) == ("bearer first", "bearer second")


def test_a_kubeconfig_that_is_being_written_leaves_everything_as_it_was(tmp_path: Path) -> None:
    file = with_a_token_file(tmp_path)
    configuration, _, renew = long_lived_pool(ConnectionSettings(kubeconfig=str(file)), {}, connections=1, remedy="")
    file.write_text("")

    assert not renew()
    assert token_of(configuration) == "Bearer first"


@needs_authorities
def test_other_authorities_in_a_kubeconfig_are_those_of_the_next_connections(config_file: Path) -> None:
    settings = ConnectionSettings(kubeconfig=str(config_file))
    _, pool, renew = long_lived_pool(settings, {}, connections=1, remedy="")
    other = config_file.parent / "other.crt"
    other.write_bytes((config_file.parent / "ca.crt").read_bytes())
    config_file.write_text(config_file.read_text().replace("ca.crt", "other.crt"))

    assert renew()
    assert pool.connection_pool_kw["ca_certs"] == str(other)


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
