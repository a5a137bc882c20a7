"""An adapter with nothing but what is required: what the contract leaves out it names, what is insisted on it finds."""

from __future__ import annotations

from typing import ClassVar

import pytest
from msgspec import Struct

from agentpod_core import AgentAdapter, Workload
from agentpod_core.host import Host
from agentpod_core.testing import AgentAdapterContract, FakeLink
from agentpod_core.testing.teeth import failed
from agentpod_core.testing.teeth_runs import Outcome, Run, run_together


class SmallConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: str = "sonnet"


class SmallAdapter(AgentAdapter[SmallConfig]):
    """An adapter with nothing but what is required."""

    name: ClassVar[str] = "small"
    title: ClassVar[str] = "Small"
    config_type: ClassVar[type[Struct]] = SmallConfig

    def workload(self, config, pod, package):
        return Workload(image="example/small:1.0", env={"MODEL": config.model})


class TestSmallAdapter(AgentAdapterContract):
    """What an author of such an adapter writes, and its entry point."""

    @pytest.fixture
    def host(self):
        return Host(builtins=[SmallAdapter()], entry_points=())

    @pytest.fixture
    def adapter(self):
        return SmallAdapter()

    @pytest.fixture
    def configs(self):
        return [SmallConfig(), SmallConfig(model="opus")]


OPTIONAL = {
    "upgrades": {"test_old_configs_are_lifted"},
    "merges": {"test_merging_what_is_there_changes_nothing", "test_merging_twice_is_merging_once"},
    "recognises": {"test_recognises_its_own_containers_only"},
    "repairs": {"test_repairs_are_for_failures_and_give_reasons"},
    "has_recipe": {"test_recipe_builds_the_image_of_the_workload"},
    "inspects": {"test_a_report_says_something"},
    "counts_usage": {"test_usage_is_given_by_days_since"},
    "heals": {"test_healing_can_be_repeated"},
    "opens_doors": {"test_a_door_is_a_path_without_the_credential"},
}


def test_what_is_not_overridden_is_skipped_and_named(tmp_path):
    """Of an adapter with nothing but what is required the skips say what nobody checked."""
    result = run_together({"small": Run(kind=TestSmallAdapter)}, tmp_path)["small"]
    skipped = {name: one.text for name, one in result.items() if one.outcome is Outcome.SKIPPED}
    assert skipped.keys() == set().union(*OPTIONAL.values())
    assert [text for text in skipped.values() if "not covered: " not in text] == []


def test_what_is_insisted_on_fails(tmp_path):
    """A part that was declared present is tested, and fails where it is not there."""

    @pytest.fixture
    def agent(self):
        return FakeLink()

    @pytest.fixture
    def old_configs(self):
        return [(1, {})]

    runs = {}
    for flag in OPTIONAL:
        asked = {"old_configs": old_configs} if flag == "upgrades" else {"agent": agent}
        kind = type("Insisting", (TestSmallAdapter,), {"__module__": __name__, flag: True, **asked})
        runs[flag] = Run(kind=kind)
    results = run_together(runs, tmp_path)
    assert {flag: failed(results[flag]).keys() for flag in OPTIONAL} == OPTIONAL
