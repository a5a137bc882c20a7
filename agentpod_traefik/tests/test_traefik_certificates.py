"""The certificate at hand: made, kept, renewed, replaced, and never open to others."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from agentpod_core import ConfigError
from agentpod_traefik.certificates import CertificateFolder, make_self_signed

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> CertificateFolder:
    """An empty folder for certificates."""
    made = CertificateFolder(tmp_path / "tls")
    made.prepare()
    return made


def names(path: Path) -> x509.SubjectAlternativeName:
    """Give the names that a certificate is for."""
    return loaded(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def loaded(path: Path) -> x509.Certificate:
    """Give a certificate."""
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_domain_and_all_names_below_it_are_certified(folder: CertificateFolder) -> None:
    """One certificate serves the dashboard and every pod, for 825 days."""
    made = loaded(folder.self_signed("example.com", NOW).certificate)
    pair = folder.self_signed("example.com", NOW)
    assert names(pair.certificate).get_values_for_type(x509.DNSName) == ["example.com", "*.example.com"]
    assert made.not_valid_after_utc - made.not_valid_before_utc == timedelta(days=825)
    assert made.not_valid_before_utc < NOW < made.not_valid_after_utc


def test_an_address_is_certified_as_an_address(folder: CertificateFolder) -> None:
    """A machine without a name can have a certificate too."""
    pair = folder.self_signed("203.0.113.5", NOW)
    assert names(pair.certificate).get_values_for_type(x509.IPAddress) == [ip_address("203.0.113.5")]


def test_the_pair_is_kept_until_it_is_due(folder: CertificateFolder) -> None:
    """A restart makes no new certificate, which clients would have to trust again; its last month does."""
    first = folder.self_signed("example.com", NOW)
    assert folder.self_signed("example.com", NOW + timedelta(days=700)) == first
    renewed = folder.self_signed("example.com", NOW + timedelta(days=800))
    assert renewed != first
    assert loaded(renewed.certificate).not_valid_after_utc > NOW + timedelta(days=1600)


def test_another_domain_is_another_pair(folder: CertificateFolder) -> None:
    """A certificate for other names is of no use."""
    first = folder.self_signed("example.com", NOW)
    second = folder.self_signed("example.org", NOW)
    assert second != first
    folder.forget_all_but(second)
    assert sorted(folder.path.iterdir()) == [second.certificate, second.key]


def test_a_certificate_without_its_key_is_replaced(folder: CertificateFolder) -> None:
    """Half a pair serves nothing."""
    first = folder.self_signed("example.com", NOW)
    first.key.unlink()
    assert folder.self_signed("example.com", NOW).key.exists()


def test_the_key_is_open_to_its_owner_alone(folder: CertificateFolder) -> None:
    """Neither the file nor the folder can be read by others."""
    pair = folder.self_signed("example.com", NOW)
    assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_renewed_key_belongs_to_whom_the_folder_belongs(folder: CertificateFolder) -> None:
    """Root renews what an unprivileged Traefik goes on reading."""
    os.chown(folder.path, 65534, 65534)
    pair = folder.self_signed("example.com", NOW)
    assert (pair.key.stat().st_uid, pair.certificate.stat().st_uid) == (65534, 65534)


def test_the_operators_pair_is_copied_and_follows_renewals(folder: CertificateFolder, tmp_path: Path) -> None:
    """The same files are one name; renewed ones are another."""
    certificate, key = written(tmp_path, "example.com")
    first = folder.adopt(certificate, key)
    assert first.key.read_bytes() == key.read_bytes()
    assert folder.adopt(certificate, key) == first
    written(tmp_path, "example.com")
    assert folder.adopt(certificate, key) != first


def test_a_pair_that_does_not_belong_together_is_refused(folder: CertificateFolder, tmp_path: Path) -> None:
    """A key of another certificate would only show when clients come."""
    certificate, key = written(tmp_path, "example.com")
    key.write_bytes(make_self_signed("example.com", NOW)[1])
    with pytest.raises(ConfigError) as refusal:
        folder.adopt(certificate, key)
    assert [(problem.path, problem.reason) for problem in refusal.value.problems] == [("$.key", "CertificateMismatch")]


@pytest.mark.parametrize("field", ["certificate", "key"])
@pytest.mark.parametrize("content", [None, b"", b"no PEM"], ids=["missing", "empty", "text"])
def test_what_is_no_pem_is_refused_by_field(
    folder: CertificateFolder, tmp_path: Path, field: str, content: bytes | None
) -> None:
    """The error names the field and the path, and nothing of what the file holds."""
    paths = dict(zip(("certificate", "key"), written(tmp_path, "example.com"), strict=True))
    if content is None:
        paths[field].unlink()
    else:
        paths[field].write_bytes(content)
    with pytest.raises(ConfigError) as refusal:
        folder.adopt(paths["certificate"], paths["key"])
    assert [(problem.path, problem.reason) for problem in refusal.value.problems] == [
        (f"$.{field}", "CertificateUnreadable")
    ]
    assert "no PEM" not in str(refusal.value)


def test_what_is_no_domain_is_refused(folder: CertificateFolder) -> None:
    """A name that no certificate can hold is the operator's mistake."""
    with pytest.raises(ConfigError, match="InvalidSettings"):
        folder.self_signed("例え.jp", NOW)


def written(folder: Path, domain: str) -> tuple[Path, Path]:
    """Write a new pair as an operator would have it."""
    certificate, key = make_self_signed(domain, NOW)
    paths = folder / "fullchain.pem", folder / "privkey.pem"
    paths[0].write_bytes(certificate)
    paths[1].write_bytes(key)
    return paths


def test_what_is_served_is_described(folder: CertificateFolder) -> None:
    """A person can be told in time: for which names, until when; what is no certificate is left out."""
    pair = folder.self_signed("example.com", NOW)
    for name in ("strange.crt", "strange.key"):
        (folder.path / name).write_text("no PEM")

    (found,) = folder.served()

    assert found.hosts == ("example.com", "*.example.com")
    assert found.ends_at == loaded(pair.certificate).not_valid_after_utc
