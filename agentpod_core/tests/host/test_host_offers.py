"""What plugins offer is checked one by one, and found by kind and name."""

from __future__ import annotations

from typing import ClassVar

import pytest
from msgspec import Struct

from agentpod_core import AgentAdapter, Workload, hookimpl
from agentpod_core.errors import NotFoundError, PluginError
from agentpod_core.host import KINDS, Host, Owner
from agentpod_core.testing import FakeClock, FakeNotifier, FakeRuntime
from agentpod_core.testing.fake_notifier import FakeTarget


def test_every_hook_has_a_kind():
    """No hook is forgotten by the host."""
    assert len({kind.hook for kind in KINDS}) == len(KINDS) == 6


def test_offers_are_found_by_kind_and_name(stage):
    """What a plugin offers can be asked for, and who gave it is known."""
    host = Host(entry_points=[stage.plugin("zoo", agentpod_agents=lambda: [stage.agent("cat"), stage.agent("ant")])])
    assert host.agent("cat").name == "cat"
    assert [one.name for one in host.agents()] == ["ant", "cat"]
    (info,) = host.plugins()
    assert (info.name, info.offers, info.errors) == ("zoo", ("agent:ant", "agent:cat"), ())


def test_unknown_name_says_what_is_known(stage):
    """A typing error is answered with the names there are."""
    host = Host(entry_points=[stage.plugin("zoo", agentpod_agents=lambda: [stage.agent("cat")])])
    with pytest.raises(NotFoundError) as caught:
        host.agent("cta")
    assert (caught.value.reason, caught.value.params) == ("UnknownAdapter", {"name": "cta", "known": ["cat"]})
    for ask in (host.router, host.runtime, host.probe, host.secret_store, host.notifier):
        with pytest.raises(NotFoundError):
            ask("cat")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (lambda stage: [stage.Agent], "the class Agent"),
        (lambda stage: [stage.Probe()], "Probe"),
        (lambda _: "cat", "str"),
        (lambda _: 7, "int"),
        (lambda _: [None], "NoneType"),
    ],
)
def test_offer_of_a_wrong_type_is_refused(stage, given, told):
    """What is no adapter is said to be what it is; the good ones beside it stay."""
    host = Host(entry_points=[stage.plugin("odd", agentpod_agents=lambda: given(stage))])
    ((reason, params),) = stage.errors(host, "odd")
    assert (reason, params["given"], params["hook"]) == ("WrongOffer", told, "agentpod_agents")


def test_good_offers_beside_a_bad_one_stay(stage):
    """One wrong object in a list costs only itself."""
    host = Host(
        entry_points=[stage.plugin("mixed", agentpod_agents=lambda: [stage.agent("cat"), 5, stage.agent("ant")])]
    )
    assert [one.name for one in host.agents()] == ["ant", "cat"]
    assert stage.reasons(host, "mixed") == ["WrongOffer"]


@pytest.mark.parametrize("name", ["", "Cat", "a b", "-cat", 5, "x" * 31])
def test_name_that_is_no_slug_is_refused(stage, name):
    """Specs, paths and settings are written with the name."""
    host = Host(entry_points=[stage.plugin("odd", agentpod_agents=lambda: [stage.agent(name)])])
    assert stage.reasons(host, "odd") == ["InvalidOfferName"]
    assert host.agents() == []


def test_offer_without_what_it_needs_is_refused(stage):
    """An adapter without a title or a config type is told what is missing."""

    class Bare(AgentAdapter[Struct]):
        name: ClassVar[str] = "bare"

        def workload(self, config, pod, package):
            return Workload(image="x:1")

    host = Host(entry_points=[stage.plugin("odd", agentpod_agents=lambda: [Bare()])])
    ((reason, params),) = stage.errors(host, "odd")
    assert (reason, params["missing"]) == ("IncompleteOffer", ["title", "config_type"])


@pytest.mark.parametrize("given", [None, dict, FakeTarget()])
def test_notifier_without_a_type_of_targets_is_refused(stage, given):
    """Forms and checks of its targets are made from it."""

    class Odd(FakeNotifier):
        target_type = given

    host = Host(entry_points=[stage.plugin("odd", agentpod_notifiers=lambda: [Odd()])])
    ((reason, params),) = stage.errors(host, "odd")
    assert (reason, params["missing"]) == ("IncompleteOffer", ["target_type"])


async def test_notifier_in_use_tells_its_type_of_targets(stage, tmp_path):
    """What the platform gets to see of a notifier has the type that its targets are read with."""
    host = Host(builtins=[FakeNotifier()], entry_points=[])
    await host.open(folder=tmp_path, instance="abcdefgh", settings=lambda *_: {}, clock=FakeClock())
    assert host.notifier("fake").target_type is FakeTarget


def test_name_offered_twice_is_refused_naming_both(stage):
    """Nothing wins by the order of installation."""
    host = Host(
        entry_points=[
            stage.plugin("b", agentpod_agents=lambda: [stage.agent("cat"), stage.agent("dog")]),
            stage.plugin("a", agentpod_agents=lambda: [stage.agent("cat")]),
        ]
    )
    assert [one.name for one in host.agents()] == ["dog"]
    assert stage.reasons(host, "a") == stage.reasons(host, "b") == ["NameOfferedTwice"]
    with pytest.raises(PluginError) as caught:
        host.agent("cat")
    assert caught.value.params["plugins"] == ["a (?)", "b (?)"]


def test_same_name_of_two_kinds_is_fine(stage):
    """A router and a runtime may both be called docker."""
    host = Host(
        entry_points=[
            stage.plugin(
                "a", agentpod_agents=lambda: [stage.agent("ping")], agentpod_health_probes=lambda: [stage.Probe()]
            ),
        ]
    )
    assert host.names("agent") == host.names("probe") == ["ping"]


def test_builtins_are_offers_or_plugins(stage):
    """What the application brings goes through the same checks and lists."""

    class More:
        @hookimpl
        def agentpod_agents(self):
            return [stage.agent("cat")]

    host = Host(builtins=[FakeNotifier(), FakeRuntime(), More()], entry_points=[])
    assert [(info.name, info.offers) for info in host.plugins()] == [
        ("More", ("agent:cat",)),
        ("agentpod-server", ("notifier:fake", "runtime:fake")),
    ]


def test_builtin_does_not_win_over_a_plugin(stage):
    """A plugin cannot take a builtin's name unnoticed, nor the other way round."""
    host = Host(
        builtins=[stage.agent("cat")], entry_points=[stage.plugin("zoo", agentpod_agents=lambda: [stage.agent("cat")])]
    )
    assert host.agents() == []
    assert stage.reasons(host, "zoo") == stage.reasons(host, "agentpod-server") == ["NameOfferedTwice"]


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("sizes", {"small": 5}),
        ("generated_secrets", [5]),
        ("config_version", "1"),
        ("boot_cost", None),
        ("credential", 1),
    ],
)
def test_attribute_of_a_wrong_type_is_refused(stage, attribute, value):
    """What every list and form reads of an adapter is fit to be read."""
    host = Host(entry_points=[stage.plugin("odd", agentpod_agents=lambda: [stage.agent(**{attribute: value})])])
    ((reason, params),) = stage.errors(host, "odd")
    assert (reason, params["missing"]) == ("IncompleteOffer", [attribute])


CAT = Owner(plugin="zoo", distribution="agentpod-zoo", version="1.2")


def test_what_is_gone_is_told_with_who_offered_it():
    """An adapter that was there once is missed by name, distribution and version."""
    host = Host(entry_points=[])
    host.remember({"agent:cat": CAT})
    with pytest.raises(NotFoundError) as caught:
        host.agent("cat")
    assert (caught.value.reason, caught.value.params) == ("PluginGone", CAT.facts() | {"kind": "agent", "name": "cat"})


def test_what_is_gone_and_still_used_is_listed():
    """Only what something needs is missed, under the name of the plugin that offered it."""
    host = Host(entry_points=[])
    host.remember({"agent:cat": CAT, "agent:dog": CAT})
    assert host.plugins() == []
    (info,) = host.plugins([("agent", "cat"), ("agent", "cat")])
    assert (info.name, info.distribution, info.version, info.state) == ("zoo", "agentpod-zoo", "1.2", "missing")
    assert [error.reason for error in info.errors] == ["PluginGone"]


def test_what_never_was_and_is_needed_is_listed_by_its_own_name():
    """A router that is set and that nobody ever offered is a line of the list, too."""
    (info,) = Host(entry_points=[]).plugins([("router", "nowhere")])
    assert (info.name, info.state, info.errors[0].reason) == ("nowhere", "missing", "UnknownRouter")


def test_plugin_that_fails_now_is_blamed_for_what_it_offered(stage):
    """What an installed plugin offered before it broke is answered with its trouble, whatever its name."""
    host = Host(entry_points=[stage.plugin("zoo", value="no_such_module_at_all")])
    host.remember({"agent:cat": CAT})
    with pytest.raises(PluginError) as caught:
        host.agent("cat")
    assert caught.value.reason == "PluginNotLoaded"
    assert [info.state for info in host.plugins([("agent", "cat")])] == ["failed"]
