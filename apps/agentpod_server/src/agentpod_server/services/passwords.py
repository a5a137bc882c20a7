"""Hashes and checks passwords: argon2id, off the event loop, and never more than two at a time."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from agentpod_core import TemporaryError

_AT_ONCE = 2
_WAITING = 32


class Passwords:
    """Checks passwords. The default profile is OWASP's (19 MiB, 2 passes, 1 lane); tests take a cheaper one."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """Hash a password."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def is_right(self, password: str, stored: str | None) -> bool:
        """Say whether a password fits a hash; with no hash it takes as long, and the answer is no.

        Raises:
            TemporaryError: too many checks are waiting already (``TooManyLogins``).
        """
        if self._waiting >= _WAITING:
            raise TemporaryError("TooManyLogins", retry_after=5, seconds=5)
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(self._check, password, stored)
        finally:
            self._waiting -= 1

    def _check(self, password: str, stored: str | None) -> bool:
        if self._nobody is None:
            self._nobody = self._hasher.hash("nobody has this password")
        try:
            self._hasher.verify(stored or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None
