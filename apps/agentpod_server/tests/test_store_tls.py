"""TLS to a database of the operator's own: asked for by the URL, as PostgreSQL's own clients have it."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import os
import shutil
from pathlib import Path

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agentpod_core.errors import PermanentError
from agentpod_server.store.access import access_beside, place_of
from agentpod_server.store.bootstrap import prepare
from agentpod_server.store.testing_servers import INSTANCE


def certificate(folder):
    """Make a certificate for 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "agentpod test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, secret = folder / "root.crt", folder / "root.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, secret


async def prepared(url):
    """Prepare the database of a URL."""
    access = access_beside(url, owner_password="o", app_password="a")
    await prepare(url, access, instance=INSTANCE)
    return access


async def refusal(url):
    """Give the error of an attempt to."""
    with pytest.raises(PermanentError) as raised:
        await prepared(url)
    return raised.value


@pytest.mark.parametrize("mode", ["require", "verify-full"])
async def test_a_server_without_tls_is_said(postgres_server, mode, tmp_path):
    """Who asks for TLS and cannot have it is not let down to plain text."""
    url = postgres_server.admin("shop")

    error = await refusal(f"{url}?sslmode={mode}&sslrootcert={certificate(tmp_path)[0]}")

    assert (error.reason, error.params["where"]) == ("DatabaseTls", place_of(url))


@pytest.mark.parametrize("query", ["sslmode=tls", "sslmode=verify-full&sslrootcert=/nowhere/root.crt"])
async def test_options_that_mean_nothing_are_said(postgres_server, query):
    """A mode that is none, or a file that is not there, is named."""
    error = await refusal(f"{postgres_server.admin('shop')}?{query}")

    assert error.reason == "DatabaseUrlUnusable"
    assert query.rpartition("&")[2].partition("=")[0] in error.params["problem"]


@pytest.fixture
async def secure(postgres_servers, tmp_path):
    """The URL of Debian's server while it has a certificate (the wheel's speaks no TLS), and what to know it by."""
    server = postgres_servers.get("15")
    public, secret = certificate(tmp_path)
    connection = await asyncpg.connect(server.admin())
    _hand_over(await connection.fetchval("show data_directory"), {"server.crt": public, "server.key": secret})
    for sql in ("alter system set ssl = on", "select pg_reload_conf()"):
        await connection.execute(sql)
    yield server.admin("shop"), public
    for sql in ("drop database shop", "drop role shop_owner, shop_app", "alter system reset ssl"):
        await connection.execute(sql)
    await connection.execute("select pg_reload_conf()")
    await connection.close()


def _hand_over(data, files):
    owner = Path(data).stat()
    for name, file in files.items():
        there = shutil.copy(file, Path(data) / name)
        os.chown(there, owner.st_uid, owner.st_gid)
        there.chmod(0o600)


async def test_a_certificate_is_checked(secure, tmp_path_factory):
    """With the right root the database is prepared and used over TLS; with another one nothing is sent."""
    url, root = secure
    wrong = certificate(tmp_path_factory.mktemp("other"))[0]

    access = await _when_it_has_begun(lambda: prepared(f"{url}?sslmode=verify-full&sslrootcert={root}"))
    connection = await asyncpg.connect(access.app_dsn)
    assert await connection.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
    await connection.close()
    error = await refusal(f"{url}?sslmode=verify-full&sslrootcert={wrong}")

    assert error.reason == "DatabaseTls"
    assert "certificate verify failed" in error.params["problem"]


async def _when_it_has_begun(attempt):
    """Try until the server has read its settings again."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await attempt()
            except PermanentError as error:
                if "rejected SSL upgrade" not in error.params["problem"]:
                    raise
            await asyncio.sleep(0.02)
