"""The adapter: its contract, and what only Echo does."""

from __future__ import annotations

import ast
import sys
from importlib.resources import files

import msgspec
import pytest

from agentpod_core import SECRETS_PATH, ConfigError, OnChange, Reply, SecretRef, TemporaryError
from agentpod_core.testing import AgentAdapterContract, FakeLink, sample_pod
from agentpod_echo import Boot, Channel, EchoAdapter, EchoConfig, Line
from agentpod_echo.adapter import REFUSED
from agentpod_echo.image import IMAGE, RECIPE
from agentpod_echo.program import VERSION
from agentpod_echo.program import settings as program_settings

HEALTH = b'{"ok": true, "ready": true, "version": "0.1.0", "model": "m", "channel": "all", "conversations": 2}'
USAGE = b'{"items": [{"day": "2026-01-01", "requests": 1, "input_tokens": 5, "output_tokens": 7}]}'


class TestEchoAdapter(AgentAdapterContract):
    @pytest.fixture
    def adapter(self):
        return EchoAdapter()

    @pytest.fixture
    def configs(self):
        full = EchoConfig(
            greeting="Grüezi ✓",
            channel=Channel.MODEL,
            model="scripted-2",
            reply="ok",
            script=(Line(when="a", reply="b"), Line(when="c", reply="")),
            api_key=SecretRef(key="support/api_key"),
            boot=Boot(seconds=1.5, burn=2.0),
        )
        return [EchoConfig(), full]

    @pytest.fixture
    def agent(self):
        replies = {"GET /healthz": Reply(status=200, body=HEALTH), "GET /usage": Reply(status=200, body=USAGE)}
        return FakeLink(replies)


def render(config):
    """Render a workload for the sample pod."""
    return EchoAdapter().workload(config, sample_pod(EchoAdapter()), None)


def by_path(config):
    """Give the rendered files by their paths."""
    return {file.path: file for file in render(config).files}


def test_a_new_greeting_is_a_live_change_and_nothing_else():
    """Only the live file differs, so a running pod needs no restart for it."""
    before, after = by_path(EchoConfig()), by_path(EchoConfig(greeting="Servus"))
    changed = [after[path] for path in after if after[path] != before[path]]
    assert [file.on_change for file in changed] == [OnChange.LIVE]


@pytest.mark.parametrize("field", [{"reply": "x"}, {"channel": Channel.WEB}, {"boot": Boot(seconds=1)}])
def test_any_other_change_asks_for_a_restart(field):
    """What is read once at the start lies in the file that restarts; the container stays the same."""
    before, after = by_path(EchoConfig()), by_path(EchoConfig(**field))
    changed = [after[path] for path in after if after[path] != before[path]]
    assert [file.on_change for file in changed] == [OnChange.RESTART]
    bare = [
        msgspec.structs.replace(render(config), files=(), boot_cost=0) for config in (EchoConfig(), EchoConfig(**field))
    ]
    assert bare[0] == bare[1]


def test_secrets_are_references_in_files_of_their_own():
    """Token and key are files readable by the agent alone, never in the environment."""
    workload = render(EchoConfig(api_key=SecretRef(key="k")))
    secret = [file for file in workload.files if any(isinstance(part, SecretRef) for part in file.parts)]
    assert [file.path for file in secret] == [f"{SECRETS_PATH}/token", f"{SECRETS_PATH}/api_key"]
    assert {file.mode for file in secret} == {0o400}
    assert all(isinstance(value, str) for value in workload.env.values())


def test_a_hidden_line_of_the_script_is_refused_with_its_path():
    """A line that an earlier one hides would never answer: every such line is named."""
    script = tuple(Line(when=when, reply="x") for when in ("a", "b", "a", "b"))
    with pytest.raises(ConfigError) as refused:
        render(EchoConfig(script=script))
    assert [problem.path for problem in refused.value.problems] == ["$.script[2].when", "$.script[3].when"]


@pytest.mark.parametrize(
    ("image", "is_echo"),
    [(IMAGE, True), ("example.com/x/agentpod-echo:9", True), ("agentpod-echoes:1", False), ("openclaw:1", False)],
)
def test_it_recognises_its_image(image, is_echo):
    """An unmanaged container runs Echo when its image is named so."""
    assert EchoAdapter().recognise(image, (), {}) is is_echo


def test_only_the_refusal_of_a_config_has_a_repair():
    """Code 78 is explained; any other exit may be mended by a restart."""
    assert EchoAdapter().repair(REFUSED).reason == "EchoRefusedConfig"
    assert EchoAdapter().repair(1) is None


def test_program_and_adapter_agree():
    """The image's tag is the program's version, and both use one code for a refused config."""
    assert f"agentpod-echo:{VERSION}" == IMAGE
    assert program_settings.REFUSED == REFUSED


def test_the_program_needs_only_what_its_image_has():
    """Its modules import the standard library, h11, wsproto and one another."""
    known = sys.stdlib_module_names | {"h11", "wsproto"}
    sources = [text for path, text in RECIPE.files.items() if path.endswith(".py")]
    assert len(sources) == len(list(files("agentpod_echo.program").glob("*.py")))
    for node in (node for text in sources for node in ast.walk(ast.parse(text))):
        if isinstance(node, ast.Import):
            assert {alias.name.partition(".")[0] for alias in node.names} <= known
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module.partition(".")[0] in known


async def test_inspect_reads_version_model_and_channels():
    """The report is what the agent's health page says."""
    report = await EchoAdapter().inspect(FakeLink({"GET /healthz": Reply(status=200, body=HEALTH)}))
    assert (report.version, report.model, report.model_ready, report.sessions) == ("0.1.0", "m", True, 2)
    assert [channel.name for channel in report.channels] == ["web", "model"]


async def test_usage_gives_the_days_since():
    """Days before the one that was asked for are left out."""
    link = FakeLink({"GET /usage": Reply(status=200, body=USAGE)})
    rows = await EchoAdapter().usage(link, "2026-01-01")
    assert [(row.day, row.input_tokens, row.output_tokens, row.cost) for row in rows] == [("2026-01-01", 5, 7, 0)]
    assert await EchoAdapter().usage(link, "2026-01-02") == []


@pytest.mark.parametrize("reply", [Reply(status=401), Reply(status=200, body=b"<html>"), Reply(status=200, body=b"{}")])
async def test_an_odd_answer_is_a_temporary_error(reply):
    """What is no health page raises the one error that says so."""
    with pytest.raises(TemporaryError) as error:
        await EchoAdapter().inspect(FakeLink({"GET /healthz": reply}))
    assert error.value.reason == "WrongAnswer"


async def test_inspect_and_usage_understand_the_real_program(echo):
    """The adapter reads what the running program really answers."""

    class Line(FakeLink):
        async def http(self, method, path, **_):
            reply = await echo.client.request(method, path, headers=echo.bearer)
            return Reply(status=reply.status_code, body=reply.content)

    await echo.client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "one two"}]})
    report = await EchoAdapter().inspect(Line())
    assert (report.version, report.model, report.sessions) == (VERSION, "scripted-1", 0)
    rows = await EchoAdapter().usage(Line(), "2000-01-01")
    assert sum(row.input_tokens for row in rows) == 2
