"""The kit in an author's project: it runs as pytest leaves it, and a mistake in a fixture says what it is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from agentpod_core.testing import SecretStoreContract

PAGE = """
import pytest, pytest_asyncio
from agentpod_core.testing import MemorySecretStore, SecretStoreContract

class TestMemory(SecretStoreContract):
    is_installed = False

    @pytest_asyncio.fixture
    async def secret_store(self):
        store = MemorySecretStore()
        yield store
        await store.close()

    @pytest.fixture
    def tenant(self):
        return "one"

    @pytest.fixture
    def other_tenant(self):
        return "two"
"""


def test_a_contract_runs_without_configuration(tmp_path):
    """Its async tests are run, and an async fixture works as the examples in the docstrings write it."""
    (tmp_path / "test_memory.py").write_text(PAGE)
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", f"-c{os.devnull}", "."]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert "PASSED test_memory.py::TestMemory::test_every_put_is_a_new_version" in done.stdout


def test_a_fixture_that_is_none_is_named():
    """Pytest itself would say that it was not found, to an author who sees it stand there."""

    def tenant(self):
        return "one"

    with pytest.raises(TypeError, match=r"Mine defines `tenant` without @pytest\.fixture"):
        type("Mine", (SecretStoreContract,), {"__module__": __name__, "tenant": tenant})
