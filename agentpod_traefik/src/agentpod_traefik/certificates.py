"""Keeps the certificate that Traefik serves: the operator's own pair, or one made here for a domain.

Obtaining certificates from an authority is not done here.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from agentpod_core import Certificate, ConfigError, Problem

LIFETIME = dt.timedelta(days=825)
"""The longest that Apple's systems accept, even from an authority that the user added."""

RENEWED_BEFORE = dt.timedelta(days=30)
CLOCKS_DIFFER_BY = dt.timedelta(days=1)
LONGEST_COMMON_NAME = 64


class Pair(Struct, frozen=True, kw_only=True):
    """Where a certificate and its key lie, both PEM."""

    certificate: Path
    key: Path


class CertificateFolder:
    """A folder with the pair in use, closed to all but the user that serves it.

    Files are named by the certificate's fingerprint: another certificate is another name in
    Traefik's configuration, which is what makes Traefik read it. A new file gets the folder's
    owner, so a server that runs as root can renew what an unprivileged Traefik reads.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder

    def prepare(self) -> None:
        """Make the folder, closed to others."""
        self.path.mkdir(mode=0o700, exist_ok=True)
        self.path.chmod(0o700)

    def adopt(self, certificate: Path, key: Path) -> Pair:
        """Give a copy of the operator's pair.

        Raises:
            ConfigError: a file cannot be read or is no PEM, or the two don't belong together.
        """
        return self._keep(*read_pair(certificate, key))

    def served(self) -> tuple[Certificate, ...]:
        """Describe the certificates in the folder; what was put there by others and cannot be read is left out."""
        return tuple(found for pair in self._pairs() if (found := _described(pair.certificate.read_bytes())))

    def self_signed(self, domain: str, now: dt.datetime) -> Pair:
        """Give a pair for the domain and all names right below it: the one at hand, or a new one.

        A new one is made when the one at hand is for other names or has less than 30 days left.

        Raises:
            ConfigError: ``domain`` is neither a domain nor an IP address.
        """
        for pair in self._pairs():
            if _serves(pair.certificate.read_bytes(), domain, now):
                return pair
        return self._keep(*make_self_signed(domain, now))

    def _pairs(self) -> Iterator[Pair]:
        for certificate in sorted(self.path.glob("*.crt")):
            key = certificate.with_suffix(".key")
            if key.exists():
                yield Pair(certificate=certificate, key=key)

    def _keep(self, certificate: bytes, key: bytes) -> Pair:
        name = hashlib.sha256(certificate).hexdigest()[:16]
        pair = Pair(certificate=self.path / f"{name}.crt", key=self.path / f"{name}.key")
        for path, content in ((pair.key, key), (pair.certificate, certificate)):
            if not path.exists() or path.read_bytes() != content:
                self._write(path, content)
        return pair

    def _write(self, path: Path, content: bytes) -> None:
        unfinished = path.with_name(f".{path.name}")
        unfinished.unlink(missing_ok=True)
        with open(unfinished, "xb", opener=_owner_only) as file:
            file.write(content)
        if os.geteuid() == 0:
            owner = self.path.stat()
            os.chown(unfinished, owner.st_uid, owner.st_gid)
        unfinished.replace(path)

    def forget_all_but(self, pair: Pair | None) -> None:
        """Remove what is no longer served."""
        kept = {pair.certificate, pair.key} if pair else set()
        for path in self.path.iterdir():
            if path not in kept:
                path.unlink(missing_ok=True)


def read_pair(certificate: Path, key: Path) -> tuple[bytes, bytes]:
    """Read an operator's pair; gives chain and key as they are in the files.

    Raises:
        ConfigError: a file cannot be read or is no PEM, or the two don't belong together.
    """
    chain, secret = _read("certificate", certificate), _read("key", key)
    try:
        public = x509.load_pem_x509_certificates(chain)[0].public_key()
    except ValueError as error:
        raise _refused("certificate", "CertificateUnreadable", certificate) from error
    try:
        private = serialization.load_pem_private_key(secret, password=None)
    except (ValueError, TypeError) as error:
        raise _refused("key", "CertificateUnreadable", key) from error
    if _encoded(private.public_key()) != _encoded(public):
        raise _refused("key", "CertificateMismatch", key)
    return chain, secret


def _described(pem: bytes) -> Certificate | None:
    try:
        found = x509.load_pem_x509_certificates(pem)[0]
    except ValueError:
        return None
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = tuple(str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress))
    except (ValueError, x509.ExtensionNotFound):
        hosts = ()
    return Certificate(hosts=hosts or (found.subject.rfc4514_string() or "?",), ends_at=found.not_valid_after_utc)


def make_self_signed(domain: str, now: dt.datetime) -> tuple[bytes, bytes]:
    """Make a certificate and its key, both PEM, for a domain or an IP address."""
    names = _names(domain)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "AgentPod self-signed"),
            x509.NameAttribute(NameOID.COMMON_NAME, domain[:LONGEST_COMMON_NAME]),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER_BY)
        .not_valid_after(now - CLOCKS_DIFFER_BY + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), secret


def _names(domain: str) -> list[x509.GeneralName]:
    try:
        return [x509.IPAddress(ipaddress.ip_address(domain))]
    except ValueError:
        pass
    try:
        return [x509.DNSName(domain), x509.DNSName(f"*.{domain}")]
    except ValueError as error:
        problem = Problem(
            path="$.self_signed_domain",
            reason="InvalidHost",
            params={"value": domain[:80]},
            message=f"{domain[:80]!r} is neither a domain nor an IP address",
        )
        raise ConfigError([problem], "InvalidSettings", name="traefik", plugin="traefik") from error


def _serves(pem: bytes, domain: str, now: dt.datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    is_self_signed = certificate.issuer == certificate.subject
    return is_self_signed and list(names) == _names(domain) and now + RENEWED_BEFORE < certificate.not_valid_after_utc


def _read(field: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _refused(field, "CertificateUnreadable", path) from error


def _refused(field: str, reason: str, path: Path) -> ConfigError:
    claim = "does not belong to the certificate" if reason == "CertificateMismatch" else "cannot be read as PEM"
    problem = Problem(path=f"$.{field}", reason=reason, params={"path": str(path)}, message=f"{path} {claim}")
    return ConfigError([problem], "InvalidSettings", name="traefik", plugin="traefik")


def _encoded(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
