"""Who may enter the embedded PostgreSQL, and by which URL."""

from __future__ import annotations

import secrets
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

SUPERUSER, OWNER, APP, DATABASE = "agentpod_root", "agentpod_owner", "agentpod_app", "agentpod"

_SOCKET_PATH = 107 - len("/.s.PGSQL.65535.lock")
"""The longest folder that a socket's name still fits behind; the kernel takes 107 bytes in all."""


class DatabaseAccess(Struct, frozen=True, kw_only=True):
    """URLs by role, over the socket where its path is short enough, else over loopback. No repr shows them.

    Only the superuser and the database ``postgres`` exist after the first start: the store's
    bootstrap makes the roles ``owner`` and ``app`` with the passwords in these URLs, and the
    database ``agentpod``. ``superuser`` points at ``postgres``, the other two at ``agentpod``.
    """

    superuser: str
    owner: str
    app: str

    def __repr__(self) -> str:
        return "DatabaseAccess()"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return []


class Credentials(Struct, frozen=True, kw_only=True):
    """What ``database.json`` keeps: the password of each role, and the port once it is chosen."""

    superuser: str
    owner: str
    app: str
    port: int = 0

    @classmethod
    def fresh(cls) -> Credentials:
        """Make passwords, of letters that need no quoting in a URL."""
        return cls(superuser=secrets.token_urlsafe(24), owner=secrets.token_urlsafe(24), app=secrets.token_urlsafe(24))

    def access(self, sockets: Path | None) -> DatabaseAccess:
        """Give the URLs, over the socket in that folder or over loopback."""
        return DatabaseAccess(
            superuser=self._url(SUPERUSER, self.superuser, "postgres", sockets),
            owner=self._url(OWNER, self.owner, DATABASE, sockets),
            app=self._url(APP, self.app, DATABASE, sockets),
        )

    def __repr__(self) -> str:
        return f"Credentials(port={self.port})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("port", self.port)]

    def _url(self, role: str, password: str, database: str, sockets: Path | None) -> str:
        if sockets is None:
            return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database}"
        return f"postgresql://{role}:{password}@/{database}?host={quote(str(sockets), safe='')}&port={self.port}"


def socket_folder(folder: Path) -> Path | None:
    """Give the folder for the socket; None when its path is too long for one."""
    return folder if len(str(folder).encode()) <= _SOCKET_PATH else None
