"""The adapter: its contract, and what OpenClaw asks for beyond it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from agentpod_core import (
    ConfigError,
    ExecResult,
    OnChange,
    Reply,
    Resources,
    SecretRef,
    TemporaryError,
    file_content,
)
from agentpod_core.testing import AgentAdapterContract, FakeLink, sample_pod
from agentpod_openclaw import OpenClawAdapter, OpenClawConfig
from agentpod_openclaw.config import DirectMessages, Provider, Telegram
from agentpod_openclaw.door import COMMAND
from agentpod_openclaw.image import RECIPE, VERSION
from agentpod_openclaw.render import CONFIG_FILE, SECRETS_FILE, WORKSPACE

MIB = 1024 * 1024
RPC = "POST /api/v1/admin/rpc"
REF = SecretRef(key="some")
COMPATIBLE = OpenClawConfig(provider=Provider.COMPATIBLE, model="m", base_url="http://10.0.0.1/v1")

STATUS = {
    "runtimeVersion": "2026.9.6",
    "sessions": {"count": 3, "defaults": {"model": "scripted-1", "contextTokens": 128000}},
    "modelRuntime": {"degraded": False, "pendingAgents": []},
}
ISSUED = b'{"token": "a-b_c", "expiresAtMs": 1795230174820}\n'
ACCOUNT = {"accountId": "default", "enabled": True, "connected": False, "lifecycle": "starting", "lastError": None}
CHANNELS = {
    "channels": {"telegram": {"configured": True, "running": True, "lastError": None}},
    "channelAccounts": {"telegram": [ACCOUNT]},
}


class TestOpenClawAdapter(AgentAdapterContract):
    @pytest.fixture
    def adapter(self):
        return OpenClawAdapter()

    @pytest.fixture
    def configs(self, samples):
        return list(samples.values())

    @pytest.fixture
    def agent(self):
        link = gateway(status=STATUS, channels_status=CHANNELS, channels_start={"started": True})
        link.commands[COMMAND] = ExecResult(code=0, stdout=ISSUED)
        return link


def render(config, **changes):
    """Render a workload for the sample pod."""
    return OpenClawAdapter().workload(config, sample_pod(OpenClawAdapter(), **changes), None)


def by_path(config, **changes):
    """Give the rendered files by their paths."""
    return {file.path: file for file in render(config, **changes).files}


def problems(config, **changes):
    """Give path and reason of everything that is refused."""
    with pytest.raises(ConfigError) as refused:
        render(config, **changes)
    return [(problem.path, problem.reason) for problem in refused.value.problems]


def gateway(**payloads):
    """Give a link to a gateway whose admin RPC answers those methods."""

    def answer(asked):
        payload = payloads.get(asked.json["method"].replace(".", "_"))
        payload = payload(asked.json["params"]) if callable(payload) else payload
        if payload is None:
            return Reply(status=503, body=b'{"ok": false, "error": {"code": "UNAVAILABLE"}}')
        return Reply(status=200, body=json.dumps({"ok": True, "payload": payload}).encode())

    return FakeLink({RPC: answer}, credentials={"gateway-token": "a-gateway-token"})


def test_all_that_contradicts_itself_is_refused_at_once():
    """What no schema can say is reported with its place, together with too little memory."""
    telegram = Telegram(bot_token=REF, dm_policy=DirectMessages.ALLOWLIST)
    config = OpenClawConfig(provider=Provider.OPENAI, model="gpt-5-mini", telegram=telegram)
    assert problems(config, resources=Resources(memory=512 * MIB)) == [
        ("$.api_key", "OpenClawApiKeyMissing"),
        ("$.telegram.allow_from", "OpenClawAllowlistEmpty"),
        ("$.memory", "OpenClawTooLittleMemory"),
    ]
    assert problems(OpenClawConfig(provider=Provider.COMPATIBLE, model="m")) == [
        ("$.base_url", "OpenClawBaseUrlMissing")
    ]


@pytest.mark.parametrize(
    ("memory", "is_trimmed"),
    [(1024, True), (1535, True), (1536, False), (2048, False), (None, False)],
)
def test_a_small_pod_is_trimmed(memory, is_trimmed):
    """Below the memory that all of OpenClaw takes, plugins and heap are cut down; at 1 GiB it still runs."""
    workload = render(COMPATIBLE, resources=Resources(memory=memory and memory * MIB))
    config = json.loads(file_content(workload.files[0], {}))
    assert ("allow" in config["plugins"]) is is_trimmed
    assert ("NODE_OPTIONS" in workload.env) is is_trimmed


def test_less_than_the_smallest_says_what_is_needed():
    """The refusal names both amounts."""
    with pytest.raises(ConfigError) as refused:
        render(COMPATIBLE, resources=Resources(memory=1023 * MIB))
    assert refused.value.problems[0].params == {"memory": "1023 MiB", "smallest": "1 GiB"}


def test_secrets_lie_in_one_file_that_only_the_agent_reads():
    """Token, key and bot token are in the secrets file as JSON; configuration and environment hold none."""
    config = OpenClawConfig(
        provider=Provider.ANTHROPIC,
        model="claude-sonnet-4-5",
        api_key=SecretRef(key="key"),
        telegram=Telegram(bot_token=SecretRef(key="bot")),
    )
    workload = render(config)
    secret = [file for file in workload.files if any(isinstance(part, SecretRef) for part in file.parts)]
    assert [(file.path, file.mode) for file in secret] == [(SECRETS_FILE, 0o400)]
    values = {SecretRef(key="support/gateway-token"): "t", SecretRef(key="key"): 'k"\\', SecretRef(key="bot"): "b"}
    assert json.loads(file_content(secret[0], values)) == {
        "gateway_token": "t",
        "api_key": 'k"\\',
        "telegram_bot_token": "b",
    }
    assert all(isinstance(value, str) for value in workload.env.values())


def test_a_pod_without_key_has_a_secrets_file_with_its_token_alone():
    """A model that asks for no key leaves no empty secret behind."""
    file = by_path(COMPATIBLE)[SECRETS_FILE]
    assert json.loads(file_content(file, {SecretRef(key="support/gateway-token"): "t"})) == {"gateway_token": "t"}


def test_identity_is_a_seed():
    """SOUL.md and the name are written once; without them nothing is, and the agent finds itself."""
    files = by_path(OpenClawConfig(provider=Provider.OPENAI, model="m", api_key=REF, soul="Be kind.", agent_name="Ada"))
    seeds = {path: file for path, file in files.items() if file.once}
    assert {path: file_content(file, {}).decode() for path, file in seeds.items()} == {
        f"{WORKSPACE}/SOUL.md": "Be kind.\n",
        f"{WORKSPACE}/IDENTITY.md": "# Identity\n\nName: Ada\n",
    }
    assert not [file for file in by_path(COMPATIBLE).values() if file.once]


def test_a_new_soul_restarts_nothing():
    """A change of a seed, or of anything in the configuration, leaves container and secrets as they are."""
    before = render(COMPATIBLE)
    after = render(
        OpenClawConfig(
            provider=Provider.COMPATIBLE, model="other", base_url="http://10.0.0.1/v1", soul="New.", heartbeat="1h"
        )
    )
    known = {file.path: file for file in before.files}
    changed = [file for file in after.files if known.get(file.path) != file]
    assert {file.path: file.on_change for file in changed} == {
        CONFIG_FILE: OnChange.MERGED,
        f"{WORKSPACE}/SOUL.md": OnChange.LIVE,
    }
    assert (before.image, before.env, before.command) == (after.image, after.env, after.command)


@pytest.mark.parametrize(("openai_api", "refused"), [(False, True), (True, False)])
def test_the_public_address_refuses_the_operator_s_side(openai_api, refused):
    """Admin RPC and tools are never public, the OpenAI dialect only when it was asked for."""
    config = OpenClawConfig(
        provider=Provider.COMPATIBLE, model="m", base_url="http://10.0.0.1/v1", openai_api=openai_api
    )
    route = render(config).route
    assert {"/api/v1/admin", "/tools/invoke"} <= set(route.refuse)
    assert ("/v1" in route.refuse) is refused
    assert route.attribute_loopback


def test_a_refused_config_is_for_openclaws_own_doctor():
    """The engine is told what to run, once; the image repairs nothing: below its init there is the gateway alone."""
    repair = OpenClawAdapter().repair(78)
    assert repair.command[-4:] == ("doctor", "--fix", "--yes", "--non-interactive")
    assert repair.command[:2] == ("node", "/app/node_modules/openclaw/openclaw.mjs")
    assert OpenClawAdapter().repair(1) is None
    assert (RECIPE.entrypoint, RECIPE.command[0], RECIPE.files) == (("/usr/bin/tini", "--"), "node", {})


def test_the_image_is_pinned_to_the_last_package():
    """The lock names every package by version and hash, and no registry."""
    lock = json.loads(RECIPE.node_lock)
    packages = {place: one for place, one in lock["packages"].items() if place}
    assert packages["node_modules/openclaw"]["version"] == VERSION
    assert [place for place, one in packages.items() if not (one.get("integrity") or one.get("inBundle"))] == []
    assert [place for place, one in packages.items() if "resolved" in one] == []
    assert lock["packages"][""]["dependencies"] == {"openclaw": VERSION}


@pytest.mark.parametrize(
    ("image", "command", "env", "expected"),
    [
        ("registry.example.com/openclaw/openclaw:2026.9.6", (), {}, True),
        ("node:24", ("node", "openclaw.mjs", "gateway"), {}, True),
        ("node:24", (), {"OPENCLAW_STATE_DIR": "/data"}, True),
        ("node:24", ("node", "index.js"), {"HOME": "/"}, False),
    ],
)
def test_a_foreign_openclaw_is_recognised(image, command, env, expected):
    """Image, command or environment tell an OpenClaw that AgentPod did not make."""
    assert OpenClawAdapter().recognise(image, command, env) is expected


async def test_the_report_says_what_the_gateway_says():
    """Version, model, sessions and channels come from the admin RPC; a channel is connected as its accounts are."""
    report = await OpenClawAdapter().inspect(gateway(status=STATUS, channels_status=CHANNELS))
    assert (report.version, report.model, report.model_ready, report.sessions) == ("2026.9.6", "scripted-1", True, 3)
    (telegram,) = report.channels
    assert (telegram.name, telegram.configured, telegram.connected, telegram.detail) == (
        "telegram",
        True,
        False,
        "starting",
    )


@pytest.mark.parametrize(
    ("accounts", "expected"),
    [
        ([ACCOUNT | {"connected": True}], True),
        ([ACCOUNT | {"connected": True}, ACCOUNT], False),
        ([ACCOUNT | {"connected": True}, ACCOUNT | {"enabled": False}], True),
        ([{"accountId": "default", "enabled": True}], None),
        ([], None),
        ("nonsense", None),
    ],
)
async def test_a_channel_is_connected_when_all_its_accounts_are(accounts, expected):
    """One account without connection makes the channel unconnected; silence is not knowing."""
    channels = CHANNELS | {"channelAccounts": {"telegram": accounts}}
    report = await OpenClawAdapter().inspect(gateway(status=STATUS, channels_status=channels))
    assert report.channels[0].connected is expected


async def test_a_gateway_of_another_shape_gives_an_empty_report():
    """What is missing or of another kind is not known, and breaks nothing."""
    report = await OpenClawAdapter().inspect(gateway(status={"sessions": 5}, channels_status={"channels": []}))
    assert (report.version, report.model, report.model_ready, report.sessions, report.channels) == (
        None,
        None,
        None,
        None,
        (),
    )


async def test_a_refusing_gateway_is_a_temporary_error():
    """The gateway's own code is in the error."""
    with pytest.raises(TemporaryError) as refused:
        await OpenClawAdapter().inspect(gateway(status=STATUS))
    assert (refused.value.reason, refused.value.params["code"]) == ("OpenClawRefused", "UNAVAILABLE")


async def test_the_door_is_a_link_with_a_grant_and_nothing_else():
    """What OpenClaw issued stands in the fragment, which no server sees; the gateway's token is not in it."""
    adapter = OpenClawAdapter()
    link = FakeLink(commands={COMMAND: ExecResult(code=0, stdout=ISSUED)}, credentials={"gateway-token": "secret"})
    door = await adapter.open_door(link, sample_pod(adapter))
    assert door.path == "/#bootstrapToken=a-b_c&bootstrapProfile=owner"
    assert door.expires_at == datetime(2026, 11, 21, 3, 2, 54, 820000, tzinfo=UTC)


@pytest.mark.parametrize(
    "done",
    [
        ExecResult(code=137),
        ExecResult(code=0, stdout=b"not json"),
        ExecResult(code=0, stdout=b'{"token": ""}'),
        ExecResult(code=1, stdout=b'{"token": "t", "expiresAtMs": 1}'),
    ],
)
async def test_a_failed_door_can_be_tried_again(done):
    """Without a grant there is no link, and the exit code says why."""
    adapter = OpenClawAdapter()
    with pytest.raises(TemporaryError) as refused:
        await adapter.open_door(FakeLink(commands={COMMAND: done}), sample_pod(adapter))
    assert (refused.value.reason, refused.value.params["exit_code"]) == ("OpenClawNoDoor", done.code)


def accounts(**running):
    """Give a channel status with those accounts of one channel, running or not."""
    listed = [{"accountId": name, "enabled": True, "running": runs} for name, runs in running.items()]
    return {"channels": {"telegram": {"configured": True}}, "channelAccounts": {"telegram": listed}}


async def test_channels_that_are_off_after_a_crash_come_back_on():
    """Each account that is enabled and does not run is started, by its name; what runs is left alone."""
    started = []

    def start(params):
        started.append(params)
        return {"started": True, "outcome": {"status": "handed-off"}}

    link = gateway(channels_status=accounts(sales=False, support=True, press=False), channels_start=start)
    await OpenClawAdapter().after_heal(link)
    assert started == [
        {"channel": "telegram", "accountId": "sales"},
        {"channel": "telegram", "accountId": "press"},
    ]


@pytest.mark.parametrize(
    "status",
    [
        {"channels": {"telegram": {"configured": False}}, "channelAccounts": {"telegram": [{"enabled": True}]}},
        {"channels": {"telegram": {"configured": True}}, "channelAccounts": {"telegram": [{"enabled": False}]}},
        {"channels": {"telegram": {"configured": True}}, "channelAccounts": {}},
        {},
    ],
)
async def test_channels_that_nobody_wants_stay_off(status):
    """What is not configured, or switched off, is not started."""
    await OpenClawAdapter().after_heal(gateway(channels_status=status))


async def test_one_channel_that_does_not_start_keeps_no_other_off():
    """All are tried, and the first trouble is raised then."""
    started = []

    def start(params):
        started.append(params["accountId"])
        return {"outcome": {"status": "retry", "reason": f"{params['accountId']}-pending"}}

    link = gateway(channels_status=accounts(sales=False, support=False), channels_start=start)
    with pytest.raises(TemporaryError) as refused:
        await OpenClawAdapter().after_heal(link)
    assert started == ["sales", "support"]
    assert refused.value.params["code"] == "sales-pending"


async def test_a_channel_that_cannot_start_yet_is_tried_again():
    """OpenClaw's own word that it may go later becomes a temporary error; one that it skips is done with."""
    later = {"started": False, "outcome": {"status": "retry", "reason": "reload-pending"}}
    with pytest.raises(TemporaryError) as refused:
        await OpenClawAdapter().after_heal(gateway(channels_status=accounts(a=False), channels_start=later))
    assert refused.value.params == {"method": "channels.start", "code": "reload-pending"}
    skipped = {"started": False, "outcome": {"status": "skipped", "reason": "not-configured"}}
    await OpenClawAdapter().after_heal(gateway(channels_status=accounts(a=False), channels_start=skipped))
