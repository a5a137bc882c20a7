"""The URLs by which a database is reached: whose they are, where they lead, and how one is made of another.

Nothing here connects. What is shown of a URL never holds its password.
"""

from __future__ import annotations

from urllib.parse import parse_qs, quote, unquote, urlsplit, urlunsplit

from msgspec import Struct

FILES = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl"})
"""The options of a URL that name a file."""

OPTIONS = frozenset({"host", "port", "sslmode", "sslpassword", *FILES})
"""The options of a URL; whom and what it leads to stands before them."""

OWNER, APP = "_owner", "_app"
"""What the two roles are named after the database's name."""


class Access(Struct, frozen=True, kw_only=True):
    """The URLs of the two roles. They hold passwords; the repr shows none."""

    owner_dsn: str
    app_dsn: str

    def __repr__(self) -> str:
        return f"Access(owner={role_of(self.owner_dsn)!r}, app={role_of(self.app_dsn)!r})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("owner", role_of(self.owner_dsn)), ("app", role_of(self.app_dsn))]


def access_beside(dsn: str, *, owner_password: str, app_password: str) -> Access:
    """Derive the URLs of owner and app, named after the database, from the one that an operator gave."""
    database = database_of(dsn)
    return Access(
        owner_dsn=_with_role(dsn, database + OWNER, owner_password),
        app_dsn=_with_role(dsn, database + APP, app_password),
    )


def role_of(dsn: str) -> str:
    """Name the role that a URL logs in as; empty where it names none."""
    return unquote(urlsplit(dsn).username or "")


def password_of(dsn: str) -> str:
    """Give the password in a URL."""
    return unquote(urlsplit(dsn).password or "")


def database_of(dsn: str) -> str:
    """Name the database of a URL; the role's own name where it names none, as PostgreSQL has it."""
    return unquote(urlsplit(dsn).path.lstrip("/")) or role_of(dsn)


def place_of(dsn: str) -> str:
    """Say where a URL leads, for people: host, port and database, or the socket's folder."""
    parts = urlsplit(dsn)
    asked = parse_qs(parts.query)
    host = unquote(parts.netloc.rpartition("@")[2]) or ",".join(asked.get("host", ["localhost"]))
    port = "" if parts.port is not None else ":" + (asked.get("port") or ["5432"])[-1]
    return f"{host}{port}/{database_of(dsn)}"


def with_database(dsn: str, database: str) -> str:
    """Point a URL at another database of the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path="/" + quote(database, safe="")))


def _with_role(dsn: str, role: str, password: str) -> str:
    parts = urlsplit(dsn)
    where = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(role, safe='')}:{quote(password, safe='')}@{where}"))
