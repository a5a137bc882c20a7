"""The host: plugins are loaded one by one, their offers checked, found by name, opened and closed."""

from __future__ import annotations

import asyncio
import logging
import sys
import types
from importlib import metadata
from typing import Annotated, ClassVar

import msgspec
import pytest
from msgspec import Meta, Struct

from agentpod_core import AgentAdapter, HealthProbe, ProbeResult, Workload, hookimpl
from agentpod_core.errors import ConfigError, NotFoundError, PermanentError, PluginError, TemporaryError
from agentpod_core.host import GROUP, KINDS, Host
from agentpod_core.testing import FakeClock, FakeNotifier, FakeRuntime

PASSWORD = "do-not-tell-anybody"


class Nothing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Agent(AgentAdapter[Nothing]):
    name: ClassVar[str] = "one"
    title: ClassVar[str] = "One"
    config_type: ClassVar[type[Struct]] = Nothing

    def workload(self, config, pod, package):
        return Workload(image="x:1")


def agent(name):
    """Give an adapter of that name."""
    return type("Agent", (Agent,), {"name": name})()


class Probe(HealthProbe):
    name: ClassVar[str] = "ping"
    title: ClassVar[str] = "Ping"

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
        return ProbeResult(alive=True, ready=True, reason="Answering")


@pytest.fixture
def plugin(monkeypatch):
    """Installs modules with these functions as hooks, and gives their entry points."""

    def install(name, value=None, **functions):
        module = types.ModuleType(f"plugin_{name.replace('-', '_')}")
        for hook, function in functions.items():
            setattr(module, hook, hookimpl(function))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return metadata.EntryPoint(name=name, value=value or module.__name__, group=GROUP)

    return install


def errors(host, name):
    """Give what went wrong with a plugin, with its facts."""
    (info,) = [one for one in host.plugins() if one.name == name]
    return [(error.reason, error.params) for error in info.errors]


def reasons(host, name):
    """Give the reasons of what went wrong with a plugin."""
    return [reason for reason, _ in errors(host, name)]


async def opened(host, tmp_path, settings=None, **more):
    """Open everything and give the reasons of what went wrong."""
    found = await host.open(
        folder=tmp_path,
        instance="abcdefgh",
        settings=lambda kind, name: (settings or {}).get(f"{kind}:{name}", {}),
        clock=FakeClock(),
        **more,
    )
    return [error.reason for error in found]


def test_every_hook_has_a_kind():
    """No hook is forgotten by the host."""
    assert len({kind.hook for kind in KINDS}) == len(KINDS) == 6


def test_offers_are_found_by_kind_and_name(plugin):
    """What a plugin offers can be asked for, and who gave it is known."""
    host = Host(entry_points=[plugin("zoo", agentpod_agents=lambda: [agent("cat"), agent("ant")])])
    assert host.agent("cat").name == "cat"
    assert [one.name for one in host.agents()] == ["ant", "cat"]
    (info,) = host.plugins()
    assert (info.name, info.offers, info.errors) == ("zoo", ("agent:ant", "agent:cat"), ())


def test_installed_plugins_are_found_with_their_distribution():
    """Installed entry points are loaded by themselves, with name and version of who brought them."""
    found = {info.name: info for info in Host().plugins()}
    assert found["http_probe"].distribution == "agentpod-http-probe"
    assert found["http_probe"].version
    assert found["http_probe"].offers == ("probe:http",)


def test_unknown_name_says_what_is_known(plugin):
    """A typing error is answered with the names there are."""
    host = Host(entry_points=[plugin("zoo", agentpod_agents=lambda: [agent("cat")])])
    with pytest.raises(NotFoundError) as caught:
        host.agent("cta")
    assert (caught.value.reason, caught.value.params) == ("UnknownAdapter", {"name": "cta", "known": ["cat"]})
    for ask in (host.router, host.runtime, host.probe, host.secret_store, host.notifier):
        with pytest.raises(NotFoundError):
            ask("cat")


def test_plugin_that_does_not_load_takes_no_other_down(plugin):
    """One broken import is recorded and told to whoever asks for it by name."""
    host = Host(
        entry_points=[
            plugin("broken", value="no_such_module_at_all"),
            plugin("zoo", agentpod_agents=lambda: [agent("cat")]),
        ]
    )
    assert host.agent("cat")
    ((reason, params),) = errors(host, "broken")
    assert reason == "PluginNotLoaded"
    assert "no_such_module_at_all" in params["error"]
    with pytest.raises(PluginError) as caught:
        host.agent("broken")
    assert caught.value.reason == "PluginNotLoaded"


def test_plugin_that_exits_at_import_does_not_end_the_server(plugin, tmp_path, monkeypatch):
    """Even ``sys.exit`` at import is only that plugin's trouble."""
    (tmp_path / "plugin_that_exits.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert reasons(Host(entry_points=[plugin("quitter", value="plugin_that_exits")]), "quitter") == ["PluginNotLoaded"]


def test_hook_that_raises_is_recorded(plugin):
    """An exception of a hook is its plugin's, and the rest goes on."""

    def explode():
        raise RuntimeError("no luck")

    host = Host(
        entry_points=[plugin("a", agentpod_agents=explode), plugin("b", agentpod_agents=lambda: [agent("cat")])]
    )
    assert reasons(host, "a") == ["PluginNotLoaded"]
    assert [one.name for one in host.agents()] == ["cat"]


def test_misspelt_hook_is_named(plugin):
    """A hook that does not exist is told by its plugin and name."""
    host = Host(entry_points=[plugin("typo", agentpod_agnets=lambda: [agent("cat")])])
    assert errors(host, "typo") == [("UnknownHook", {"plugin": "typo", "hook": "agentpod_agnets"})]


def test_hook_with_arguments_is_refused(plugin):
    """Hooks take nothing."""
    host = Host(entry_points=[plugin("needy", agentpod_agents=lambda settings: [])])
    assert errors(host, "needy") == [("InvalidHook", {"plugin": "needy", "hook": "agentpod_agents"})]


def test_hook_that_is_a_coroutine_is_refused(plugin):
    """Hooks are called, not awaited."""

    async def later():
        return []

    assert reasons(Host(entry_points=[plugin("later", agentpod_agents=later)]), "later") == ["InvalidHook"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([Agent], "the class Agent"),
        ([Probe()], "Probe"),
        ("cat", "str"),
        (7, "int"),
        ([None], "NoneType"),
    ],
)
def test_offer_of_a_wrong_type_is_refused(plugin, given, told):
    """What is no adapter is said to be what it is; the good ones beside it stay."""
    host = Host(entry_points=[plugin("odd", agentpod_agents=lambda: given)])
    ((reason, params),) = errors(host, "odd")
    assert (reason, params["given"], params["hook"]) == ("WrongOffer", told, "agentpod_agents")


def test_good_offers_beside_a_bad_one_stay(plugin):
    """One wrong object in a list costs only itself."""
    host = Host(entry_points=[plugin("mixed", agentpod_agents=lambda: [agent("cat"), 5, agent("ant")])])
    assert [one.name for one in host.agents()] == ["ant", "cat"]
    assert reasons(host, "mixed") == ["WrongOffer"]


@pytest.mark.parametrize("name", ["", "Cat", "a b", "-cat", 5, "x" * 31])
def test_name_that_is_no_slug_is_refused(plugin, name):
    """Specs, paths and settings are written with the name."""
    host = Host(entry_points=[plugin("odd", agentpod_agents=lambda: [agent(name)])])
    assert reasons(host, "odd") == ["InvalidOfferName"]
    assert host.agents() == []


def test_offer_without_what_it_needs_is_refused(plugin):
    """An adapter without a title or a config type is told what is missing."""

    class Bare(AgentAdapter[Nothing]):
        name: ClassVar[str] = "bare"

        def workload(self, config, pod, package):
            return Workload(image="x:1")

    host = Host(entry_points=[plugin("odd", agentpod_agents=lambda: [Bare()])])
    ((reason, params),) = errors(host, "odd")
    assert (reason, params["missing"]) == ("IncompleteOffer", ["title", "config_type"])


def test_name_offered_twice_is_refused_naming_both(plugin):
    """Nothing wins by the order of installation."""
    host = Host(
        entry_points=[
            plugin("b", agentpod_agents=lambda: [agent("cat"), agent("dog")]),
            plugin("a", agentpod_agents=lambda: [agent("cat")]),
        ]
    )
    assert [one.name for one in host.agents()] == ["dog"]
    assert reasons(host, "a") == reasons(host, "b") == ["NameOfferedTwice"]
    with pytest.raises(PluginError) as caught:
        host.agent("cat")
    assert caught.value.params["plugins"] == ["a", "b"]


def test_same_name_of_two_kinds_is_fine(plugin):
    """A router and a runtime may both be called docker."""
    host = Host(
        entry_points=[
            plugin("a", agentpod_agents=lambda: [agent("ping")], agentpod_health_probes=lambda: [Probe()]),
        ]
    )
    assert host.names("agent") == host.names("probe") == ["ping"]


def test_two_distributions_with_one_entry_point_name_are_both_listed(plugin):
    """The second is listed with where it comes from."""
    first = plugin("zoo", agentpod_agents=lambda: [agent("cat")])
    second = metadata.EntryPoint(name="zoo", value="somewhere_else", group=GROUP)
    assert [info.name for info in Host(entry_points=[second, first]).plugins()] == ["zoo", "zoo@somewhere_else"]


def test_disabled_plugin_is_not_even_imported(plugin):
    """The kill switch works by name, before any of the plugin's code runs."""
    broken = plugin("zoo", value="no_such_module_at_all")
    host = Host(entry_points=[broken], disabled={"zoo"})
    (info,) = host.plugins()
    assert (info.is_disabled, info.errors, info.offers) == (True, (), ())
    with pytest.raises(PluginError) as caught:
        host.agent("zoo")
    assert caught.value.reason == "PluginDisabled"


def test_builtins_are_offers_or_plugins():
    """What the application brings goes through the same checks and lists."""

    class More:
        @hookimpl
        def agentpod_agents(self):
            return [agent("cat")]

    host = Host(builtins=[FakeNotifier(), FakeRuntime(), More()], entry_points=[])
    assert [(info.name, info.offers) for info in host.plugins()] == [
        ("More", ("agent:cat",)),
        ("agentpod-server", ("notifier:fake", "runtime:fake")),
    ]


def test_builtin_does_not_win_over_a_plugin(plugin):
    """A plugin cannot take a builtin's name unnoticed, nor the other way round."""
    host = Host(builtins=[agent("cat")], entry_points=[plugin("zoo", agentpod_agents=lambda: [agent("cat")])])
    assert host.agents() == []
    assert reasons(host, "zoo") == reasons(host, "agentpod-server") == ["NameOfferedTwice"]


class PortSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: Annotated[int, Meta(ge=1)]
    hosts: tuple[str, ...] = ()
    is_loud: bool = False
    password: str = ""


class Opened(Probe):
    settings_type: ClassVar[type[Struct]] = PortSettings

    def __init__(self, failure=None):
        self.failure = failure
        self.log = []
        self.context = None

    async def open(self, context):
        self.context = context
        self.log.append("open")
        if self.failure:
            raise self.failure

    async def close(self):
        self.log.append("close")


async def test_offer_is_opened_with_its_own_folder_and_settings(tmp_path):
    """An impure offer gets what belongs to it, texts read as what its settings are, and nothing else."""
    probe = Opened()
    host = Host(builtins=[probe], entry_points=[])
    raw = {"port": "8080", "hosts": '["a", "b"]', "is_loud": "true", "password": "5"}
    assert await opened(host, tmp_path, {"probe:ping": raw}) == []
    assert probe.context.settings == PortSettings(port=8080, hosts=("a", "b"), is_loud=True, password="5")
    assert (probe.context.instance, probe.context.folder) == ("abcdefgh", tmp_path / "probe" / "ping")
    assert probe.context.folder.stat().st_mode & 0o777 == 0o700
    assert host.probe("ping") is probe


async def test_wrong_settings_are_all_told_and_no_value_is_repeated(tmp_path):
    """Every wrong setting has its own problem; the offer stays closed and says why."""
    host = Host(builtins=[Opened()], entry_points=[])
    raw = {"port": PASSWORD, "is_loud": PASSWORD, "passwort": PASSWORD}
    assert await opened(host, tmp_path, {"probe:ping": raw}) == ["InvalidSettings"]
    with pytest.raises(ConfigError) as caught:
        host.probe("ping")
    assert {(one.path, one.reason) for one in caught.value.problems} == {
        ("$.port", "InvalidField"),
        ("$.is_loud", "InvalidField"),
        ("$.passwort", "UnknownField"),
    }
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in str(host.plugins())


async def test_missing_setting_is_told(tmp_path):
    """A required setting that nobody gave is a problem of its own."""
    host = Host(builtins=[Opened()], entry_points=[])
    assert await opened(host, tmp_path) == ["InvalidSettings"]


def test_offer_that_is_not_open_cannot_be_had():
    """Nothing works with a router or a runtime before it was opened."""
    with pytest.raises(TemporaryError) as caught:
        Host(builtins=[Probe()], entry_points=[]).probe("ping")
    assert caught.value.reason == "PluginNotOpen"


async def test_offer_that_fails_to_open_is_told_and_the_others_open(tmp_path):
    """An engine that cannot be reached stops no notifier."""
    failure = PermanentError("EngineRefused", message="too old")
    broken = Opened(failure)
    host = Host(builtins=[broken, FakeNotifier()], entry_points=[])
    assert await opened(host, tmp_path, {"probe:ping": {"port": 1}}) == ["EngineRefused"]
    assert host.notifier("fake").name == "fake"
    with pytest.raises(PermanentError):
        host.probe("ping")
    assert reasons(host, "agentpod-server") == ["EngineRefused"]


async def test_opening_again_tries_again_what_failed(tmp_path):
    """What was unreachable at start can be had later, and what is open is left alone."""
    probe = Opened(TemporaryError("EngineUnreachable"))
    host = Host(builtins=[probe], entry_points=[])
    settings = {"probe:ping": {"port": 1}}
    assert await opened(host, tmp_path, settings) == ["EngineUnreachable"]
    probe.failure = None
    assert await opened(host, tmp_path, settings) == []
    assert await opened(host, tmp_path, settings) == []
    assert probe.log == ["open", "open"]
    assert reasons(host, "agentpod-server") == []


async def test_unknown_exception_of_a_plugin_is_wrapped_with_its_name(tmp_path, plugin, caplog):
    """What a plugin did not mean to raise is temporary, names it, and does not leak its words."""
    probe = Opened(KeyError(PASSWORD))
    host = Host(entry_points=[plugin("ping-plugin", agentpod_health_probes=lambda: [probe])])
    with caplog.at_level(logging.ERROR):
        assert await opened(host, tmp_path, {"probe:ping": {"port": 1}}) == ["PluginFailed"]
    with pytest.raises(TemporaryError) as caught:
        host.probe("ping")
    assert caught.value.params == {"plugin": "ping-plugin", "error": "KeyError"}
    assert "ping-plugin" in caplog.text
    assert "test_host.py" in caplog.text
    assert PASSWORD not in caplog.text + str(caught.value)


async def test_only_what_is_in_use_is_opened(tmp_path):
    """A second router that is installed and not chosen is left alone."""
    probe = Opened()
    host = Host(builtins=[probe, FakeNotifier()], entry_points=[])
    await opened(host, tmp_path, {"probe:ping": {"port": 1}}, only={"probe": ["other"], "runtime": ["docker"]})
    assert probe.log == []
    assert host.notifier("fake")


async def test_everything_open_is_closed_and_one_failure_stops_no_other(tmp_path, caplog):
    """Closing goes through to the end, twice if need be."""

    class Sticky(Opened):
        name: ClassVar[str] = "sticky"

        async def close(self):
            raise RuntimeError(PASSWORD)

    probe = Opened()
    host = Host(builtins=[probe, Sticky()], entry_points=[])
    await opened(host, tmp_path, {"probe:ping": {"port": 1}, "probe:sticky": {"port": 1}})
    with caplog.at_level(logging.WARNING):
        await host.close()
        await host.close()
    assert probe.log == ["open", "close"]
    assert "probe:sticky" in caplog.text
    assert PASSWORD not in caplog.text
    with pytest.raises(TemporaryError):
        host.probe("ping")


async def test_cancelled_opening_is_cancelled(tmp_path):
    """Stopping the server while a plugin opens is not taken for the plugin's failure."""

    class Slow(Probe):
        async def open(self, context):
            await asyncio.get_running_loop().create_future()

    host = Host(builtins=[Slow()], entry_points=[])
    opening = asyncio.ensure_future(opened(host, tmp_path))
    await asyncio.sleep(0.01)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening


def test_guarded_code_raises_only_our_errors(plugin):
    """Our errors pass; anything else becomes temporary with the plugin's name."""
    host = Host(entry_points=[plugin("zoo", agentpod_agents=lambda: [agent("cat")])])
    cat = host.agent("cat")
    with pytest.raises(ConfigError), host.guarded(cat):
        raise ConfigError([])
    with pytest.raises(TemporaryError) as caught, host.guarded(cat):
        raise KeyError(PASSWORD)
    assert (caught.value.reason, caught.value.params) == ("PluginFailed", {"plugin": "zoo", "error": "KeyError"})
    with host.guarded(cat):
        assert cat.workload(msgspec.convert({}, Nothing), None, None).image == "x:1"
