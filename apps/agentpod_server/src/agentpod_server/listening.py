"""Says whether a port can be had, and when not, why and which setting chooses another. It keeps none open."""

from __future__ import annotations

import errno
import os
import socket

from agentpod_core import PermanentError


def demand_free(address: str, port: int, setting: str) -> None:
    """Return if nobody listens on that port, and we may.

    Raises:
        PermanentError: as ``port_error`` says.
    """
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
        except OSError as error:
            raise port_error(error, address=address, port=port, setting=setting) from error


def port_error(error: OSError, *, address: str, port: int, setting: str) -> PermanentError:
    """Say why a port cannot be had: ``PortTaken``, ``PortNotAllowed`` or ``PortUnusable``, and who chooses another."""
    reason = {errno.EADDRINUSE: "PortTaken", errno.EACCES: "PortNotAllowed"}.get(error.errno or 0, "PortUnusable")
    problem = os.strerror(error.errno) if error.errno else str(error)
    return PermanentError(reason, address=address or "*", port=port, setting=setting, problem=problem)
