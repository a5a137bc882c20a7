"""Cursors of listings: opaque to clients, and good only for the listing and the reader they were made for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import msgspec

from agentpod_core import AgentPodError
from agentpod_server.records import Scope

_MAC = 12
_LONGEST = 2048


class Cursors:
    """Writes and reads cursors under a key; one that was altered or moved elsewhere is refused."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.sha256(b"agentpod cursors\0" + key).digest()

    def write(self, scope: Scope, listing: str, filters: Mapping[str, Any], place: tuple[str, ...]) -> str:
        """Make the cursor of a place in a listing."""
        payload = msgspec.json.encode(place)
        return base64.urlsafe_b64encode(self._mac(scope, listing, filters, payload) + payload).decode().rstrip("=")

    def read(self, scope: Scope, listing: str, filters: Mapping[str, Any], cursor: str) -> tuple[str, ...]:
        """Give the place that a cursor stands for.

        Raises:
            AgentPodError: ``BadCursor``: it was not made for this listing, these filters and this reader.
        """
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        mac, payload = raw[:_MAC], raw[_MAC:]
        if len(cursor) > _LONGEST or not hmac.compare_digest(mac, self._mac(scope, listing, filters, payload)):
            raise AgentPodError("BadCursor")
        return msgspec.json.decode(payload, type=tuple[str, ...])

    def _mac(self, scope: Scope, listing: str, filters: Mapping[str, Any], payload: bytes) -> bytes:
        bound = msgspec.json.encode([scope.tenant_id, listing, sorted(filters.items())])
        return hmac.digest(self._key, bound + b"\0" + payload, "sha256")[:_MAC]
