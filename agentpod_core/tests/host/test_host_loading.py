"""Plugins are loaded one by one: whatever one does, it is named and the others are there."""

from __future__ import annotations

import threading
import time
from importlib import metadata

import pytest

from agentpod_core.errors import PluginError
from agentpod_core.host import GROUP, Host, Redactor


def test_plugin_that_does_not_load_takes_no_other_down(stage):
    """One broken import is recorded and told to whoever asks for it by name."""
    host = Host(
        entry_points=[
            stage.plugin("broken", value="no_such_module_at_all"),
            stage.plugin("zoo", agentpod_agents=lambda: [stage.agent("cat")]),
        ]
    )
    assert host.agent("cat")
    ((reason, params),) = stage.errors(host, "broken")
    assert reason == "PluginNotLoaded"
    assert "no_such_module_at_all" in params["error"]
    with pytest.raises(PluginError) as caught:
        host.agent("broken")
    assert caught.value.reason == "PluginNotLoaded"


def test_plugin_that_exits_at_import_does_not_end_the_server(stage, tmp_path, monkeypatch):
    """Even ``sys.exit`` at import is only that plugin's trouble."""
    (tmp_path / "plugin_that_exits.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert stage.reasons(Host(entry_points=[stage.plugin("quitter", value="plugin_that_exits")]), "quitter") == [
        "PluginNotLoaded"
    ]


def test_hook_that_raises_is_recorded(stage):
    """An exception of a hook is its plugin's, and the rest goes on."""

    def explode():
        raise RuntimeError("no luck")

    host = Host(
        entry_points=[
            stage.plugin("a", agentpod_agents=explode),
            stage.plugin("b", agentpod_agents=lambda: [stage.agent("cat")]),
        ]
    )
    assert stage.reasons(host, "a") == ["PluginNotLoaded"]
    assert [one.name for one in host.agents()] == ["cat"]


def test_misspelt_hook_is_named(stage):
    """A hook that does not exist is told by its plugin and name."""
    host = Host(entry_points=[stage.plugin("typo", agentpod_agnets=lambda: [stage.agent("cat")])])
    ((reason, params),) = stage.errors(host, "typo")
    assert (reason, params["plugin"], params["hook"]) == ("UnknownHook", "typo", "agentpod_agnets")


def test_hook_with_arguments_is_refused(stage):
    """Hooks take nothing."""
    host = Host(entry_points=[stage.plugin("needy", agentpod_agents=lambda settings: [])])
    ((reason, params),) = stage.errors(host, "needy")
    assert (reason, params["plugin"], params["hook"]) == ("InvalidHook", "needy", "agentpod_agents")


def test_hook_that_is_a_coroutine_is_refused(stage):
    """Hooks are called, not awaited."""

    async def later():
        return []

    assert stage.reasons(Host(entry_points=[stage.plugin("later", agentpod_agents=later)]), "later") == ["InvalidHook"]


def test_two_distributions_with_one_entry_point_name_are_both_listed(stage):
    """The second is listed with where it comes from."""
    first = stage.plugin("zoo", agentpod_agents=lambda: [stage.agent("cat")])
    second = metadata.EntryPoint(name="zoo", value="somewhere_else", group=GROUP)
    assert [info.name for info in Host(entry_points=[second, first]).plugins()] == ["zoo", "zoo@somewhere_else"]


def test_disabled_plugin_is_not_even_imported(stage):
    """The kill switch works by name, before any of the plugin's code runs."""
    broken = stage.plugin("zoo", value="no_such_module_at_all")
    host = Host(entry_points=[broken], disabled={"zoo"})
    (info,) = host.plugins()
    assert (info.is_disabled, info.errors, info.offers) == (True, (), ())
    with pytest.raises(PluginError) as caught:
        host.agent("zoo")
    assert caught.value.reason == "PluginDisabled"


def test_installed_plugins_are_found_with_their_distribution():
    """Installed entry points are loaded by themselves, with name and version of who brought them."""
    found = {info.name: info for info in Host().plugins()}
    assert found["http_probe"].distribution == "agentpod-http-probe"
    assert found["http_probe"].version
    assert found["http_probe"].offers == ("probe:http",)


NEVER = "import time\ntime.sleep(10**6)\n"
LOOP = "from agentpod_core import hookimpl\n@hookimpl\ndef agentpod_agents():\n    while True:\n        pass\n"


@pytest.mark.parametrize("code", [NEVER, LOOP], ids=["import", "hook"])
def test_plugin_that_never_comes_back_is_left_behind(stage, code):
    """Who sleeps at import or loops in a hook is named, with its distribution, and the others are there."""
    host = Host(
        entry_points=[
            stage.distribution("never", code, version="0.3"),
            stage.plugin("zoo", agentpod_agents=lambda: [stage.agent("cat")]),
        ],
        load_seconds=0.2,
    )
    assert [one.name for one in host.agents()] == ["cat"]
    ((reason, params),) = stage.errors(host, "never")
    assert reason == "PluginBlocked"
    assert (params["plugin"], params["distribution"], params["version"]) == ("never", "never", "0.3")


def test_hook_that_loops_is_stopped(stage):
    """A loop in a plugin's hook takes no processor time once it was given up."""
    Host(entry_points=[stage.distribution("looping", LOOP)], load_seconds=0.1)

    def runs() -> bool:
        return any("looping" in thread.name for thread in threading.enumerate())

    deadline = time.monotonic() + 5
    while runs() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not runs()


def test_generator_as_hook_that_never_ends_is_left_behind(stage):
    """What is offered one by one is fetched within the same time."""

    def slow():
        yield stage.agent("cat")
        time.sleep(60)

    host = Host(entry_points=[stage.plugin("zoo", agentpod_agents=slow)], load_seconds=0.1)
    assert stage.reasons(host, "zoo") == ["PluginBlocked"]
    assert host.agents() == []


def test_generator_without_end_fills_no_memory(stage):
    """A hook that offers without end is told so; nothing of it is taken."""
    cat = stage.agent("cat")

    def endless():
        while True:
            yield cat

    host = Host(entry_points=[stage.plugin("zoo", agentpod_agents=endless)])
    assert stage.reasons(host, "zoo") == ["WrongOffer"]
    assert host.agents() == []


@pytest.mark.parametrize("requires", ["agentpod-core>=99", "AgentPod_Core<0.0.1", "agentpod-core[testing]==99.*"])
def test_plugin_for_another_core_is_not_even_imported(stage, requires):
    """It is told what it wants and what is there, before any of its code runs."""
    code = "raise RuntimeError('was imported')"
    host = Host(entry_points=[stage.distribution("future", code, version="2.0", requires=("pluggy", requires))])
    ((reason, params),) = stage.errors(host, "future")
    assert reason == "WrongCoreVersion"
    assert params["present"] == metadata.version("agentpod-core")
    assert params["wanted"] in {">=99", "<0.0.1", "==99.*"}


@pytest.mark.parametrize(
    "requires", ["agentpod-core", "agentpod-core>=0.0.1", 'agentpod-core>=99; extra == "later"', "=broken= line"]
)
def test_plugin_that_fits_is_loaded(stage, requires):
    """A version that is wanted by an extra only, or by nobody, keeps no plugin out."""
    host = Host(entry_points=[stage.distribution("fitting", "", requires=(requires,))])
    assert stage.errors(host, "fitting") == []


def test_shared_entry_point_name_is_told_with_both_distributions(stage):
    """Which of two plugins of one name is meant, nobody can guess."""
    points = [
        stage.distribution("zoo-one", "", version="1.0", point="zoo"),
        stage.distribution("zoo-two", "", version="2.0", point="zoo"),
    ]
    host = Host(entry_points=points)
    for name in ("zoo", "zoo@zoo-two"):
        ((reason, params),) = stage.errors(host, name)
        assert reason == "PluginNameShared"
        assert params["distributions"] == ["zoo-one 1.0", "zoo-two 2.0"]


def test_error_at_import_tells_no_secret(stage):
    """What a plugin found in the environment and put into its error is masked."""
    redactor = Redactor()
    redactor.learn("sk-very-secret")
    host = Host(entry_points=[stage.distribution("leak", "raise OSError('sk-very-secret')")], redactor=redactor)
    ((_, params),) = stage.errors(host, "leak")
    assert params["error"] == "OSError: ***"


def test_attribute_that_raises_when_looked_at_is_its_plugins_trouble(stage):
    """Not even to look at what is offered takes the host down."""

    class Nasty(stage.Agent):
        @property
        def name(self):
            raise RuntimeError("no")

    host = Host(entry_points=[stage.plugin("nasty", agentpod_agents=lambda: [Nasty()])])
    assert stage.reasons(host, "nasty") == ["PluginNotLoaded"]
