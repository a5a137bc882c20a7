"""What a start says when it cannot have its ports."""

from __future__ import annotations

import errno
import socket

import pytest

from agentpod_core import PermanentError, catalogue
from agentpod_server import listening


def test_a_port_that_is_taken_names_the_setting_that_chooses_another():
    """Somebody listens there: the port and what to set are said."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PermanentError) as refused:
            listening.demand_free("127.0.0.1", port, "AGENTPOD_ROUTER_X_PING")
    assert refused.value.reason == "PortTaken"
    assert "AGENTPOD_ROUTER_X_PING" in (catalogue.repair("PortTaken", refused.value.params) or "")


def test_a_port_that_is_free_is_fine():
    """Nothing is said, and the port stays free."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    listening.demand_free("127.0.0.1", port, "AGENTPOD_PORT")
    listening.demand_free("127.0.0.1", port, "AGENTPOD_PORT")


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.EADDRINUSE, "PortTaken"), (errno.EACCES, "PortNotAllowed"), (errno.EADDRNOTAVAIL, "PortUnusable")],
)
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_what_keeps_a_port_from_us_is_told_apart(number, reason, language):
    """A port in use, one that needs root, and an address of another machine want different things to be done."""
    error = listening.port_error(OSError(number, "why"), address="192.0.2.1", port=80, setting="AGENTPOD_PORT")
    assert error.reason == reason
    text = catalogue.text(reason, error.params, language) + (catalogue.repair(reason, error.params, language) or "")
    assert "80" in text
    assert "AGENTPOD_PORT" in text
    assert "?" not in text


def test_an_address_of_another_machine_cannot_be_listened_on():
    """The error names the address."""
    with pytest.raises(PermanentError) as refused:
        listening.demand_free("192.0.2.77", 18_099, "AGENTPOD_LISTEN")
    assert (refused.value.reason, refused.value.params["address"]) == ("PortUnusable", "192.0.2.77")
