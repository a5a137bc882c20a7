"""The whole API as one object: each operation under the name that the API's own description gives it."""

from __future__ import annotations

from agentpod_client.alerts import Alerts
from agentpod_client.following import Following
from agentpod_client.identity import Identity
from agentpod_client.waiting import Waiting


class Client(Waiting, Following, Alerts, Identity):
    """Talks to one server as one user.

    Listings are followed to their end while they are read. Every method raises a ``ClientError``:
    ``ApiError`` when the server refused, ``UnreachableError`` when none answered.
    """
