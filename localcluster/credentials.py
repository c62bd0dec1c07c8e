# SPDX-License-Identifier: Apache-2.0
"""Keys, certificates and kubeconfig files of one cluster; they live as long as its folder."""

import base64
import datetime
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority", "write_kubeconfig", "write_private", "write_service_account_key"]

_LIFETIME = datetime.timedelta(days=365)


def write_private(path: Path, data: bytes) -> Path:
    """Write a file that only its owner can read, from the moment it exists."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
    return path


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    # The traditional form: the API server reads the public half of the token key from it, but not from PKCS 8.
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs the certificates of one cluster. Files: ca.crt, ca.key and NAME.crt, NAME.key in `folder`."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def create(cls, folder: Path) -> "Authority":
        """A new CA, including its two files."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localcluster")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + _LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=True,
                    crl_sign=True,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .sign(key, hashes.SHA256())
        )
        authority = cls(folder, key, certificate)
        write_private(folder / "ca.key", _key_pem(key))
        write_private(authority.path, certificate.public_bytes(serialization.Encoding.PEM))
        return authority

    @property
    def path(self) -> Path:
        """The certificate that clients trust."""
        return self.folder / "ca.crt"

    def issue(
        self, file_name: str, user: str, *, groups: tuple[str, ...] = (), hosts: tuple[str, ...] = ()
    ) -> tuple[Path, Path]:
        """Certificate and key for a client (`user`, `groups`) and, with `hosts`, for a server under these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        names.append(x509.NameAttribute(NameOID.COMMON_NAME, user))
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(names))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + _LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(
                # Python 3.13 verifies strictly and refuses a chain without it.
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_san(host) for host in hosts]), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return (
            write_private(self.folder / f"{file_name}.crt", certificate.public_bytes(serialization.Encoding.PEM)),
            write_private(self.folder / f"{file_name}.key", _key_pem(key)),
        )

    def write_kubeconfig(self, path: Path, *, cluster: str, server: str, certificate: Path, key: Path) -> Path:
        """A kubeconfig that needs no other file, readable by its owner only."""
        user = {"client-certificate-data": _encoded(certificate), "client-key-data": _encoded(key)}
        return write_kubeconfig(
            path, cluster, {"server": server, "certificate-authority-data": _encoded(self.path)}, user
        )


def _san(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def write_service_account_key(folder: Path) -> Path:
    """The key that signs the tokens of service accounts."""
    return write_private(folder / "service-accounts.key", _key_pem(ec.generate_private_key(ec.SECP256R1())))


def write_kubeconfig(path: Path, name: str, cluster: Mapping[str, str], user: Mapping[str, str]) -> Path:
    """A kubeconfig with one context; `cluster` and `user` are the entries of these sections."""
    name = f"localcluster-{name}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": dict(cluster)}],
        "users": [{"name": name, "user": dict(user)}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return write_private(path, yaml.safe_dump(config, sort_keys=False).encode())


def _encoded(source: Path) -> str:
    return base64.b64encode(source.read_bytes()).decode()
