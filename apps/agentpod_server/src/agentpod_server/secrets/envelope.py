"""Seals a secret: AES-256-GCM with a data key of its own, which a key of the ring wraps.

Both are bound to where they belong (tenant, key, version, row), so that nothing can be moved to
another row. Each data key seals one value, so a new secret never shares a key with an old one.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agentpod_core.errors import PermanentError
from agentpod_server.secrets.keys import KeyRing
from agentpod_server.store.secrets import Sealed

_NONCE = 12


def seal(  # noqa: PLR0913 - all of it is bound to the value
    keys: KeyRing, *, secret_id: str, tenant_id: str, key: str, version: int, value: str
) -> Sealed:
    """Seal a value for its row."""
    bound = _bound(tenant_id, key, version, secret_id)
    data_key = AESGCM.generate_key(256)
    return Sealed(
        id=secret_id,
        tenant_id=tenant_id,
        key=key,
        version=version,
        key_id=keys.current.id,
        wrapped=_encrypt(keys.current.value, data_key, bound),
        sealed=_encrypt(data_key, value.encode(), bound),
    )


def unseal(keys: KeyRing, row: Sealed) -> str:
    """Give the value of a row.

    Raises:
        PermanentError: ``SecretUnreadable``, with what is wrong (never the value): the key that wrapped
            it is not at hand, or the row was changed.
    """
    key = keys.find(row.key_id)
    if key is None:
        at_hand = ", ".join(one.id for one in keys.keys)
        detail = f"wrapped by the key {row.key_id}; the key file holds {at_hand}"
        raise PermanentError("SecretUnreadable", key=row.key, key_id=row.key_id, detail=detail)
    bound = _bound(row.tenant_id, row.key, row.version, row.id)
    try:
        return _decrypt(_decrypt(key.value, row.wrapped, bound), row.sealed, bound).decode()
    except (InvalidTag, ValueError):
        raise PermanentError("SecretUnreadable", key=row.key, key_id=row.key_id, detail="the row was changed") from None


def _bound(tenant_id: str, key: str, version: int, secret_id: str) -> bytes:
    """Write down where a value belongs; lengths keep neighbours from running into each other."""
    parts = [part.encode() for part in (tenant_id, key, str(version), secret_id)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _encrypt(key: bytes, plain: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound)


def _decrypt(key: bytes, packed: bytes, bound: bytes) -> bytes:
    return AESGCM(key).decrypt(packed[:_NONCE], packed[_NONCE:], bound)
