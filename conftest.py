"""Imports what is installed before pytest can take a folder of the same name for it, and shares the tests out.

``--import-mode=importlib`` names test modules after their folders, so without this the folder
``agentpod_traefik/`` would become the package ``agentpod_traefik`` of the tests, and an empty one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import agentpod_core as agentpod_core
import agentpod_openclaw as agentpod_openclaw
import agentpod_traefik as agentpod_traefik

PLATFORMS = Path(__file__).parent / "tests"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that start whole platforms into one worker's hands, before all others; a file is never divided.

    They are the longest and wait for containers most of the time, while the other worker computes; two of them at once
    would measure each other.
    """
    for item in items:
        whole = PLATFORMS in item.path.parents and item.get_closest_marker("docker") is not None
        item.add_marker(pytest.mark.xdist_group("platforms" if whole else str(item.path)))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group").args[0] != "platforms")
