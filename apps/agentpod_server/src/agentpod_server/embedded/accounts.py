"""Chooses the unprivileged accounts that root runs things as; an ordinary user runs everything as itself.

No account is ever made: the host's user list belongs to its owner. Accounts named ``agentpod`` and
``agentpod-proxy`` are taken where an installer has made them. The proxy, which strangers talk to, never
shares an account with the database while another one exists.
"""

from __future__ import annotations

import os
import pwd

from msgspec import Struct

from agentpod_core.errors import PermanentError

DATABASE = ("agentpod", "postgres", "nobody")
PROXY = ("agentpod-proxy", "proxy", "www-data", "daemon", "nobody")


class Account(Struct, frozen=True, kw_only=True):
    """A user of this machine."""

    name: str
    uid: int
    gid: int


def account(candidates: tuple[str, ...]) -> Account | None:
    """Give the first of these accounts that exists; None when we are not root and keep our own.

    Raises:
        PermanentError: ``NoUnprivilegedUser``: none of them exists.
    """
    if os.geteuid() != 0:
        return None
    for name in candidates:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise PermanentError("NoUnprivilegedUser", users=", ".join(candidates))


def owner(uid: int) -> Account | None:
    """Give the account with that uid, as long as it is unprivileged and in the user list."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return None
    return Account(name=entry.pw_name, uid=uid, gid=entry.pw_gid) if uid else None
