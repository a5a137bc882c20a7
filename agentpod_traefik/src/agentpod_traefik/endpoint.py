"""Where a Docker Engine listens: what such an address looks like, and who on this machine may use it."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from agentpod_core import PermanentError, TemporaryError

LOCAL = "unix:///var/run/docker.sock"

_ENDPOINT = re.compile(r"unix:///.+|(tcp|http)://[^/\s]+/?")


def is_endpoint(text: str) -> bool:
    """Say whether the text is an address that both we and Traefik can use."""
    return _ENDPOINT.fullmatch(text) is not None


def socket_path(endpoint: str) -> Path | None:
    """Give the socket that an endpoint names; None for one on a network."""
    return Path(endpoint.removeprefix("unix://")) if endpoint.startswith("unix://") else None


def groups_to_reach(endpoint: str) -> tuple[int, ...]:
    """Name the groups that an unprivileged process must be in to use the endpoint.

    Only root starts Traefik as somebody else; for all others what they may do is what Traefik may do.

    Raises:
        TemporaryError: ``EngineUnreachable``: there is no such socket yet.
        PermanentError: ``DockerSocketClosed``: no group but root's would open it.
    """
    path = socket_path(endpoint)
    if path is None or os.geteuid() != 0:
        return ()
    try:
        seen = path.stat()
    except OSError as error:
        raise TemporaryError("EngineUnreachable", detail=str(error)) from error
    if seen.st_mode & stat.S_IWOTH:
        return ()
    if not seen.st_mode & stat.S_IWGRP or seen.st_gid == 0:
        raise PermanentError("DockerSocketClosed", path=str(path))
    return (seen.st_gid,)
