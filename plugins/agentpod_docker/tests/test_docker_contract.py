"""The Docker runtime passes the runtime contract on a real engine."""

from __future__ import annotations

import pytest

from agentpod_core import ImageRecipe
from agentpod_core.testing import RuntimeContract


@pytest.mark.docker
class TestDockerRuntime(RuntimeContract):
    """Every fact of the contract, on the engine of this machine."""

    @pytest.fixture
    def runtime(self, docker_runtime):
        return docker_runtime

    @pytest.fixture
    def instance(self, docker_instance):
        return docker_instance

    @pytest.fixture
    def image(self, docker_image):
        return docker_image

    @pytest.fixture
    def subnet(self, docker_subnet):
        return docker_subnet

    @pytest.fixture
    def foreign(self, docker_hands):
        return docker_hands

    @pytest.fixture
    def outage(self, docker_wire):
        return docker_wire

    @pytest.fixture
    def kill(self, docker_hands):
        return docker_hands.kill

    @pytest.fixture
    def recipe(self, docker_base, docker_tag):
        return ImageRecipe(image=docker_tag, packages=("agentpod-test-nothing",), files={"/hello": "hello"})
