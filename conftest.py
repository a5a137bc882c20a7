"""Imports what is installed before pytest can take a folder of the same name for it, and shares the tests out.

``--import-mode=importlib`` names test modules after their folders, so without this the folder
``agentpod_traefik/`` would become the package ``agentpod_traefik`` of the tests, and an empty one.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

import agentpod_core as agentpod_core
import agentpod_openclaw as agentpod_openclaw
import agentpod_traefik as agentpod_traefik

PLATFORMS = ("tests/browser/", "tests/chaos/test_re", "tests/docs/", "tests/e2e/", "tests/openclaw/")


class Scheduling(LoadScopeScheduling):
    """Puts the tests that start whole platforms into one worker's hands; of the rest no file is divided.

    They are the longest and wait for containers most of the time, while the other worker computes; two of them at once
    would measure each other. Given first, as ``testpaths`` does, they begin first.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "platforms" if nodeid.startswith(PLATFORMS) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    """Share the tests out by that."""
    return Scheduling(config, log)
