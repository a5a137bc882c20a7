"""A typed client of the AgentPod API.

``Client`` has a method for each operation; ``shapes`` and ``bodies`` type what it gives and takes, and
everything that it raises is a ``ClientError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentpod_client import bodies, shapes
from agentpod_client.errors import (
    ApiError,
    BadNameError,
    BadTokenError,
    ClientError,
    ForeignAnswerError,
    NotInTimeError,
    OperationFailedError,
    PodFailedError,
    SilentServerError,
    UnreachableError,
    UntrustedServerError,
)

if TYPE_CHECKING:
    from agentpod_client.client import Client
    from agentpod_client.listing import Listing

__all__ = [
    "ApiError",
    "BadNameError",
    "BadTokenError",
    "Client",
    "ClientError",
    "ForeignAnswerError",
    "Listing",
    "NotInTimeError",
    "OperationFailedError",
    "PodFailedError",
    "SilentServerError",
    "UnreachableError",
    "UntrustedServerError",
    "bodies",
    "shapes",
]


def __getattr__(name: str) -> Any:
    # The HTTP library takes longer to load than a command line may take to say --help; who connects pays for it.
    if name == "Client":
        from agentpod_client.client import Client  # noqa: PLC0415 - see above

        return Client
    if name == "Listing":
        from agentpod_client.listing import Listing  # noqa: PLC0415 - see above

        return Listing
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
