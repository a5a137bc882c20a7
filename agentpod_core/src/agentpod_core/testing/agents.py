"""What every agent adapter must do. Subclass ``AgentAdapterContract`` in a test module and define its fixtures."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct

from agentpod_core.plugpoints.agents import AgentAdapter
from agentpod_core.testing.agent_configs import ConfigFacts
from agentpod_core.testing.agent_links import LinkFacts
from agentpod_core.testing.agent_workloads import WorkloadFacts
from agentpod_core.testing.parts import to_define
from agentpod_core.values.pods import Package, Pod
from agentpod_core.values.resources import Resources
from agentpod_core.values.workload import SecretRef, Workload


def sample_pod(adapter: AgentAdapter[Any], **changes: Any) -> Pod:
    """Give a pod as AgentPod would give it to that adapter: its generated secrets, its first size."""
    size = next(iter(adapter.sizes), None)
    facts: dict[str, Any] = {
        "id": "01900000-0000-7000-8000-000000000001",
        "name": "support",
        "tenant": "acme",
        "tenant_name": "Acme Ltd",
        "host": "support-acme.example.com",
        "origins": ("https://support-acme.example.com",),
        "address": "10.214.0.2",
        "gateway": "10.214.0.1",
        "hostname": "support-acme",
        "size": size,
        "resources": adapter.sizes[size] if size else Resources(),
        "secrets": {name: SecretRef(key=f"support/{name}") for name in adapter.generated_secrets},
    }
    return Pod(**(facts | changes))


class AgentAdapterContract(ConfigFacts, WorkloadFacts, LinkFacts):
    """The facts that hold for every agent adapter.

    Fixtures: ``adapter`` and ``configs``; ``pod`` and ``package`` have defaults. The whole of what the
    author of a small adapter writes::

        class TestEchoAdapter(AgentAdapterContract):
            @pytest.fixture
            def adapter(self):
                return EchoAdapter()

            @pytest.fixture
            def configs(self):
                return [EchoConfig(), EchoConfig(model="sonnet", api_key=SecretRef(key="echo"))]

    An optional method is tested once it is overridden. The flags ``upgrades merges recognises repairs
    has_recipe inspects counts_usage heals opens_doors`` say so of themselves; set one to True to insist.
    Two flags are True until they are declared False: ``is_installed``, and ``has_installed_probe`` (for
    an adapter whose probe comes with a plugin that is not installed with the tests).

    ``upgrade`` needs the fixture ``old_configs``, and whatever talks with the agent needs ``agent``::

            @pytest.fixture
            def old_configs(self):
                return [(1, {"model_name": "sonnet"})]

            @pytest.fixture
            def agent(self):
                return FakeLink({"GET /status": Reply(status=200, body=b'{"version": "1.4"}')})
    """

    @to_define
    def adapter(self) -> AgentAdapter[Any]:
        """The adapter."""
        raise NotImplementedError

    @to_define
    def configs(self) -> list[Struct]:
        """Configs that work, at least one; the more they differ, the more the contract finds."""
        raise NotImplementedError

    @pytest.fixture
    def pod(self, adapter: AgentAdapter[Any]) -> Pod:
        """The pod for which workloads are rendered."""
        return sample_pod(adapter)

    @pytest.fixture
    def package(self) -> Package | None:
        """The package that the pod is made from."""
        return None

    @pytest.fixture
    def workloads(
        self, adapter: AgentAdapter[Any], configs: list[Struct], pod: Pod, package: Package | None
    ) -> list[Workload]:
        """What the adapter makes of each config."""
        return [adapter.workload(config, pod, package) for config in configs]

    @pytest.fixture
    def implementation(self, adapter: AgentAdapter[Any]) -> AgentAdapter[Any]:
        """What is under contract."""
        return adapter
