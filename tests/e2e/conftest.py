"""The platform that the tests in this folder share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def platform(new_platform):
    """Give a running platform with the light agent's image."""
    platform = new_platform(network="10.216.0.0/16")
    platform.up()
    platform.agentpod("image", "build", "echo")
    return platform
