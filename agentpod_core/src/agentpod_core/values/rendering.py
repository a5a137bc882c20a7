"""Decides the bytes of a file from its parts and the values of the secrets among them.

Where the values come from is not decided here: whoever renders was given them just before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from agentpod_core.errors import PermanentError
from agentpod_core.values.workload import File, Quote, SecretRef

SECRET_MODE = 0o400


def file_content(file: File, material: Mapping[SecretRef, str]) -> bytes:
    """Give a file's bytes, with every secret written in the file's way of quoting.

    Raises:
        PermanentError: ``SecretMissing``, a secret is not in ``material``.
    """
    return "".join(
        _quoted(secret_value(part, material), file.quote) if isinstance(part, SecretRef) else part
        for part in file.parts
    ).encode()


def file_mode(file: File) -> int:
    """Give a file's mode; one that holds a secret is for its owner to read and nothing else."""
    return SECRET_MODE if any(isinstance(part, SecretRef) for part in file.parts) else file.mode


def secret_value(ref: SecretRef, material: Mapping[SecretRef, str]) -> str:
    """Give a secret's value.

    Raises:
        PermanentError: ``SecretMissing``, it is not in ``material``.
    """
    try:
        return material[ref]
    except KeyError:
        raise PermanentError("SecretMissing", key=ref.key) from None


def _quoted(value: str, quote: Quote) -> str:
    return json.dumps(value, ensure_ascii=False) if quote is Quote.JSON else value
