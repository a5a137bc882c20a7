"""What touches the world is opened with what belongs to it, and closed; one failure stops no other."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, ClassVar

import pytest
from msgspec import Meta, Struct

from agentpod_core import HealthProbe, ProbeResult
from agentpod_core.errors import ConfigError, PermanentError, TemporaryError
from agentpod_core.host import Host
from agentpod_core.testing import FakeNotifier

PASSWORD = "do-not-tell-anybody"


class Probe(HealthProbe):
    name: ClassVar[str] = "ping"
    title: ClassVar[str] = "Ping"

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
        return ProbeResult(alive=True, ready=True, reason="Answering")


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


async def test_offer_is_opened_with_its_own_folder_and_settings(tmp_path, stage):
    """An impure offer gets what belongs to it, texts read as what its settings are, and nothing else."""
    probe = Opened()
    host = Host(builtins=[probe], entry_points=[])
    raw = {"port": "8080", "hosts": '["a", "b"]', "is_loud": "true", "password": "5"}
    assert await stage.opened(host, {"probe:ping": raw}) == []
    assert probe.context.settings == PortSettings(port=8080, hosts=("a", "b"), is_loud=True, password="5")
    assert (probe.context.instance, probe.context.folder) == ("abcdefgh", tmp_path / "probe" / "ping")
    assert probe.context.folder.stat().st_mode & 0o777 == 0o700
    assert host.probe("ping").title == probe.title


async def test_wrong_settings_are_all_told_and_no_value_is_repeated(tmp_path, stage):
    """Every wrong setting has its own problem; the offer stays closed and says why."""
    host = Host(builtins=[Opened()], entry_points=[])
    raw = {"port": PASSWORD, "is_loud": PASSWORD, "passwort": PASSWORD}
    assert await stage.opened(host, {"probe:ping": raw}) == ["InvalidSettings"]
    with pytest.raises(ConfigError) as caught:
        host.probe("ping")
    assert {(one.path, one.reason) for one in caught.value.problems} == {
        ("$.port", "InvalidField"),
        ("$.is_loud", "InvalidField"),
        ("$.passwort", "UnknownField"),
    }
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in str(host.plugins())


async def test_missing_setting_is_told(tmp_path, stage):
    """A required setting that nobody gave is a problem of its own."""
    host = Host(builtins=[Opened()], entry_points=[])
    assert await stage.opened(host) == ["InvalidSettings"]


def test_offer_that_is_not_open_cannot_be_had():
    """Nothing works with a router or a runtime before it was opened."""
    with pytest.raises(TemporaryError) as caught:
        Host(builtins=[Probe()], entry_points=[]).probe("ping")
    assert caught.value.reason == "PluginNotOpen"


async def test_offer_that_fails_to_open_is_told_and_the_others_open(tmp_path, stage):
    """An engine that cannot be reached stops no notifier."""
    failure = PermanentError("EngineRefused", message="too old")
    broken = Opened(failure)
    host = Host(builtins=[broken, FakeNotifier()], entry_points=[])
    assert await stage.opened(host, {"probe:ping": {"port": 1}}) == ["EngineRefused"]
    assert host.notifier("fake").name == "fake"
    with pytest.raises(PermanentError):
        host.probe("ping")
    assert stage.reasons(host, "agentpod-server") == ["EngineRefused"]


async def test_opening_again_tries_again_what_failed(tmp_path, stage):
    """What was unreachable at start can be had later, and what is open is left alone."""
    probe = Opened(TemporaryError("EngineUnreachable"))
    host = Host(builtins=[probe], entry_points=[])
    settings = {"probe:ping": {"port": 1}}
    assert await stage.opened(host, settings) == ["EngineUnreachable"]
    probe.failure = None
    assert await stage.opened(host, settings) == []
    assert await stage.opened(host, settings) == []
    assert probe.log == ["open", "open"]
    assert stage.reasons(host, "agentpod-server") == []


async def test_unknown_exception_of_a_plugin_is_wrapped_with_its_name(tmp_path, stage, caplog):
    """What a plugin did not mean to raise is temporary, names it, and does not leak its words."""
    probe = Opened(KeyError(PASSWORD))
    host = Host(entry_points=[stage.plugin("ping-plugin", agentpod_health_probes=lambda: [probe])])
    with caplog.at_level(logging.ERROR):
        assert await stage.opened(host, {"probe:ping": {"port": 1}}) == ["PluginFailed"]
    with pytest.raises(TemporaryError) as caught:
        host.probe("ping")
    assert {name: caught.value.params[name] for name in ("plugin", "call", "error")} == {
        "plugin": "ping-plugin",
        "call": "open",
        "error": "KeyError",
    }
    assert "ping-plugin" in caplog.text
    assert "test_host_opening.py" in caplog.text
    assert PASSWORD not in caplog.text + str(caught.value)


async def test_only_what_is_in_use_is_opened(tmp_path, stage):
    """A second router that is installed and not chosen is left alone."""
    probe = Opened()
    host = Host(builtins=[probe, FakeNotifier()], entry_points=[])
    await stage.opened(host, {"probe:ping": {"port": 1}}, only={"probe": ["other"], "runtime": ["docker"]})
    assert probe.log == []
    assert host.notifier("fake")


async def test_everything_open_is_closed_and_one_failure_stops_no_other(tmp_path, caplog, stage):
    """Closing goes through to the end, twice if need be."""

    class Sticky(Opened):
        name: ClassVar[str] = "sticky"

        async def close(self):
            raise RuntimeError(PASSWORD)

    probe = Opened()
    host = Host(builtins=[probe, Sticky()], entry_points=[])
    await stage.opened(host, {"probe:ping": {"port": 1}, "probe:sticky": {"port": 1}})
    with caplog.at_level(logging.WARNING):
        await host.close()
        await host.close()
    assert probe.log == ["open", "close"]
    assert "probe:sticky" in caplog.text
    assert PASSWORD not in caplog.text
    with pytest.raises(TemporaryError):
        host.probe("ping")


async def test_cancelled_opening_is_cancelled(tmp_path, stage):
    """Stopping the server while a plugin opens is not taken for the plugin's failure."""

    class Slow(Probe):
        async def open(self, context):
            await asyncio.get_running_loop().create_future()

    host = Host(builtins=[Slow()], entry_points=[])
    opening = asyncio.ensure_future(stage.opened(host))
    await asyncio.sleep(0.01)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
