"""Signs messages as Standard Webhooks 1.0 does, so that receivers can use its libraries. Pure.

A key is written ``whsec_`` and 24 to 64 bytes in base64. What is signed is the message's id, the second in which
it is sent, and the body, with HMAC-SHA256: whoever replays a message later, or changes it, is found out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

PREFIX: Final = "whsec_"
_SHORTEST, _LONGEST = 24, 64


def read_key(text: str) -> bytes:
    """Give the key's bytes.

    Raises:
        ValueError: it is no key; the message does not repeat it.
    """
    try:
        key = base64.b64decode(text.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(f"must be {PREFIX} and {_SHORTEST} to {_LONGEST} random bytes in base64")
    return key


def headers(keys: Sequence[bytes], *, message: str, second: int, body: bytes) -> dict[str, str]:
    """Give the headers that go with a body, signed with each of the keys: a receiver needs one of them."""
    signed = f"{message}.{second}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": message,
        "webhook-timestamp": str(second),
        "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
    }
