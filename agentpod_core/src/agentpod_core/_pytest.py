"""Makes assertions of the contract kit readable in plugin authors' tests; pytest loads it by entry point."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("agentpod_core.testing")
