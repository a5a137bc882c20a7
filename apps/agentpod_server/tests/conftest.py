"""Fixtures of the server's tests."""

from __future__ import annotations

from agentpod_server.dashboard.testing import *  # noqa: F403 - fixtures
from agentpod_server.services.alerts.testing import *  # noqa: F403 - fixtures
from agentpod_server.store.testing import *  # noqa: F403 - fixtures
from agentpod_server.testing import *  # noqa: F403 - fixtures
