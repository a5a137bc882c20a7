"""The Apprise notifier, for real: the contract over HTTP and over SMTP, and what a URL cannot make it do."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from agentpod_apprise import AppriseNotifier, AppriseSettings
from agentpod_apprise import notifier as notifying
from agentpod_core import ConfigError, HostContext, PermanentError, TemporaryError
from agentpod_core.host import Host
from agentpod_core.testing import FakeClock, NotifierContract
from agentpod_core.testing.notifiers import deliver, refusal, taken

SECRET = "hunter2"
LOOPBACK = ("127.0.0.0/8", "::1")


async def opened(allowed=LOOPBACK, seconds=20.0):
    """Give a notifier that is open and may reach the loopback."""
    notifier = AppriseNotifier(seconds=seconds)
    settings = AppriseSettings(private_addresses=allowed)
    await notifier.open(HostContext(instance="abcdefgh", folder=Path("/"), settings=settings, clock=FakeClock()))
    return notifier


@pytest.fixture
async def notifier():
    """The notifier, open."""
    return await opened()


@pytest.fixture
def closed_port():
    """A port of the loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class TestAppriseOverHttp(NotifierContract):
    patience = 30.0

    @pytest.fixture
    async def notifier(self):
        return await opened()

    @pytest.fixture
    def target(self, web):
        return {"url": f"json://127.0.0.1:{web.port}/"}

    @pytest.fixture
    def inbox(self, web):
        return web.texts

    @pytest.fixture
    def unreachable(self, closed_port):
        return {"url": f"json://me:{SECRET}@127.0.0.1:{closed_port}/"}

    @pytest.fixture
    def hanging(self, web):
        return {"url": f"json://me:{SECRET}@127.0.0.1:{web.port}/hangs?rto=10"}

    @pytest.fixture
    def refusing(self, web):
        return {"url": f"json://me:{SECRET}@127.0.0.1:{web.port}/410"}

    @pytest.fixture
    def wrong_targets(self):
        return [
            {"url": SECRET},
            {"url": f"nosuchservice://{SECRET}"},
            {"url": f"slack://{SECRET}"},
            {"url": f"dbus://{SECRET}"},
            {"url": "json://"},
            {"url": f"json://me:{SECRET}@10.0.0.1/"},
            {"url": f"json://{SECRET}/" + "x" * 5000},
            {},
            {"url": "json://127.0.0.1/", "token": SECRET},
        ]

    @pytest.fixture
    def secret_texts(self):
        return [SECRET]


class TestAppriseOverSmtp(NotifierContract):
    patience = 30.0
    can_refuse = False

    @pytest.fixture
    async def notifier(self):
        return await opened()

    @pytest.fixture
    def target(self, mail):
        return {"url": f"mailto://localhost:{mail.port}?from=agentpod@example.org&to=ops@example.org&format=text"}

    @pytest.fixture
    def inbox(self, mail):
        return mail.texts

    @pytest.fixture
    def unreachable(self, closed_port):
        return {"url": f"mailto://me:{SECRET}@localhost:{closed_port}?from=agentpod@example.org&to=ops@example.org"}

    @pytest.fixture
    def hanging(self, silent):
        return {"url": f"mailto://me:{SECRET}@localhost:{silent.port}?from=a@example.org&to=b@example.org&cto=10"}

    @pytest.fixture
    def wrong_targets(self):
        return [{"url": f"mailto://me:{SECRET}@10.0.0.1?from=agentpod@example.org&to=ops@example.org"}]

    @pytest.fixture
    def secret_texts(self):
        return [SECRET]


async def problem(notifier, url):
    """Give what is said about a URL when an alert is sent to it."""
    with pytest.raises(ConfigError) as caught:
        await deliver(notifier, 1, {"url": url})
    (found,) = caught.value.problems
    assert found.path == "$.url"
    return found


async def test_mail_says_it_all(notifier, mail):
    """A mail has the title as its subject, and text and link as they were written."""
    url = f"mailto://localhost:{mail.port}?from=agentpod@example.org&to=ops@example.org&format=text"
    await deliver(notifier, 1, {"url": url})
    (arrived,) = mail.arrived
    assert "agentpod@example.org" in arrived.splitlines()[0]
    assert arrived.splitlines()[0].endswith("contract-tenant/pod-1: crash loop")
    assert 'It ends again and again: "*why*" is in its logs.' in arrived
    assert "https://agentpod.example/dashboard/pods/1" in arrived


async def test_kind_says_how_bad_it_is(notifier, web):
    """Services colour a message by its kind: a failure, and a success when it is over."""
    target = {"url": f"json://127.0.0.1:{web.port}/"}
    await deliver(notifier, 1, target)
    await deliver(notifier, 1, target, recovered=True)
    assert ['"type": "failure"' in web.arrived[0], '"type": "success"' in web.arrived[1]] == [True, True]


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (400, TemporaryError, "TargetRefused"),
        (401, TemporaryError, "TargetRefused"),
        (404, TemporaryError, "TargetRefused"),
        (410, PermanentError, "TargetRefused"),
        (408, TemporaryError, "TargetBusy"),
        (429, TemporaryError, "TargetBusy"),
        (503, TemporaryError, "TargetBusy"),
    ],
)
async def test_answer_says_whether_to_try_again(notifier, web, status, kind, reason):
    """What Apprise keeps to itself is heeded: the status, and when to come again."""
    web.headers = "Retry-After: 7\r\n"
    with pytest.raises((TemporaryError, PermanentError)) as caught:
        await deliver(notifier, 1, {"url": f"json://127.0.0.1:{web.port}/{status}"})
    error = caught.value
    assert (type(error), error.reason, error.params) == (kind, reason, {"host": "JSON", "answer": str(status)})
    assert getattr(error, "retry_after", 7) == 7


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
async def test_private_address_is_refused(web, host):
    """Without leave, nothing that is not public is asked."""
    found = await problem(await opened(allowed=()), f"json://{host}:{web.port}/")
    assert (found.reason, found.params["setting"]) == ("PrivateAddress", "AGENTPOD_NOTIFIER_APPRISE_PRIVATE_ADDRESSES")
    assert not web.reached.is_set()


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]"])
async def test_private_address_in_disguise_is_refused(web, host):
    """However it is written, it is not asked; some ways of writing Apprise itself does not understand."""
    await problem(await opened(allowed=()), f"json://{host}:{web.port}/")
    assert not web.reached.is_set()


@pytest.mark.parametrize("url", ["json://localhost/", "mailto://localhost?from=a@example.org&to=b@example.org"])
async def test_private_host_is_refused_before_it_is_stored(url):
    """Whoever adds a target is told at once."""
    (found,) = (await refusal(await opened(allowed=()), {"url": url})).problems
    assert found.reason == "PrivateAddress"


async def test_redirect_leads_to_no_private_address(web):
    """A public service cannot send the server on to where it may not go."""
    web.headers = "Location: http://127.0.0.2:1/\r\n"
    notifier = await opened(allowed=("127.0.0.1",))
    found = await problem(notifier, f"json://127.0.0.1:{web.port}/302?redirect=yes")
    assert (found.reason, found.params["address"]) == ("PrivateAddress", "127.0.0.2")


async def test_redirect_is_not_followed(notifier, web):
    """Left alone, a redirect is a no."""
    web.headers = f"Location: http://127.0.0.1:{web.port}/\r\n"
    with pytest.raises(TemporaryError):
        await deliver(notifier, 1, {"url": f"json://127.0.0.1:{web.port}/307"})
    assert web.arrived == []


async def test_topic_in_the_place_of_a_host_is_not_resolved():
    """Of a service that can do without a host nothing is shown to name servers: it may be the token, or the topic."""
    notifier = await opened(allowed=())
    await notifier.check(*taken(notifier, {"url": "ntfy://localhost"}))


async def test_machine_that_starts_no_process_is_temporary(notifier, monkeypatch):
    """A machine that is short of processes or memory for a moment says nothing about the target."""
    monkeypatch.setattr("sys.executable", "/no/such/python")
    with pytest.raises(TemporaryError) as caught:
        await deliver(notifier, 1, {"url": f"json://me:{SECRET}@127.0.0.1/"})
    assert (caught.value.reason, caught.value.params["cause"]) == ("TargetUnreachable", "No such file or directory")


async def test_host_can_be_allowed_by_name(web):
    """An operator may open a host by its name."""
    await deliver(await opened(allowed=("localhost",)), 1, {"url": f"json://localhost:{web.port}/"})
    assert len(web.arrived) == 1


async def test_files_of_the_machine_are_not_read(notifier, web, tmp_path):
    """A URL can name a template or a key file; the server's files stay where they are."""
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    found = await problem(notifier, f"workflows://127.0.0.1:{web.port}/workflow/signature?template={secret}")
    assert "must name no files" in found.message
    assert web.arrived == []


@pytest.mark.parametrize("schema", ["syslog", "dbus", "kde", "glib", "gnome", "windows", "macosx", "blink1"])
async def test_services_of_this_machine_are_refused(notifier, schema):
    """What would only show on the server's own screen, or in its log, is no target."""
    assert "server's own machine" in (await problem(notifier, f"{schema}://x")).message


async def test_documented_urls_are_understood(notifier):
    """What the documents say a URL looks like is what Apprise takes."""
    mailbox = "USER:PASSWORD@mail.example.com"
    token = "TIiajkdnlazkcOXrIdevi7FQ"
    urls = [
        f"mailtos://{mailbox}?from=agentpod@example.com&to=ops@example.com",
        f"mailtos://{mailbox}:465?mode=ssl&from=agentpod@example.com&to=ops@example.com",
        f"slack://T1JJ3T3L2/A1BRTD4JD/{token}",
        "feishu://0199c3a4-7c1e-7d3a-9d5f-2f7a4c1b8e60",
        "lark://0199c3a4-7c1e-7d3a-9d5f-2f7a4c1b8e60",
        f"dingtalk://{token}",
        f"dingtalk://SEC{token}@{token}",
        "wecombot://0199c3a4-7c1e-7d3a-9d5f-2f7a4c1b8e60",
        f"tgram://123456789:{token}/987654321",
        f"discord://4174216298/{token}",
        f"workflows://prod.example.com/643e69f83c8944/{token}",
        "ntfys://ntfy.example.com/topic",
        "gotifys://gotify.example.com/AiL3Ywq5sMd8_2x",
        "mmosts://chat.example.com/3ccdd113474722377935511fc85d3dd4",
    ]
    targets = [taken(notifier, {"url": url}) for url in urls]
    said = await asyncio.gather(*(notifier.check(*target) for target in targets), return_exceptions=True)
    assert [url for url, one in zip(urls, said, strict=True) if one is not None] == []


async def test_time_is_bounded_in_all(web):
    """A service that sends a byte now and then is given up, and its process is gone."""
    notifier = await opened(seconds=4)
    with pytest.raises(TemporaryError) as caught:
        await deliver(notifier, 1, {"url": f"json://127.0.0.1:{web.port}/slow?rto=60"})
    assert caught.value.params == {"host": "Apprise", "cause": "no answer within 4 seconds"}
    assert children() == []


async def test_services_that_hang_keep_no_message_waiting(notifier, web, monkeypatch):
    """Whose turn it is the host decides: a second queue here would let some hold up others that have theirs."""
    answered = notifying._answered

    async def hanging(job):
        if "hangs" in job.url:
            await asyncio.get_running_loop().create_future()
        return await answered(job)

    monkeypatch.setattr(notifying, "_answered", hanging)
    hang = {"url": f"json://127.0.0.1:{web.port}/hangs"}
    tasks = [asyncio.create_task(deliver(notifier, 1, hang)) for _ in range(40)]
    await asyncio.sleep(0)
    await deliver(notifier, 1, {"url": f"json://127.0.0.1:{web.port}/"})
    assert len(web.arrived) == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_sending_can_be_cancelled(notifier, web):
    """A server that ends does not wait for a service, and leaves no process behind."""
    task = asyncio.create_task(deliver(notifier, 1, {"url": f"json://127.0.0.1:{web.port}/hangs?rto=100"}))
    await asyncio.wait_for(web.reached.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert children() == []


def children():
    """Give the processes that run Apprise for this one."""
    found = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [one for one in found if b"agentpod_apprise.sender" in Path(f"/proc/{one}/cmdline").read_bytes()]


def shown_of(child):
    """Give what any user, and root, may read of a process."""
    return [Path(f"/proc/{child}/{name}").read_bytes() for name in ("cmdline", "environ")]


async def test_url_is_on_no_command_line(notifier, web):
    """Who lists the machine's processes does not see the secret."""
    task = asyncio.create_task(deliver(notifier, 1, {"url": f"json://me:{SECRET}@127.0.0.1:{web.port}/hangs?rto=100"}))
    await asyncio.wait_for(web.reached.wait(), 20)
    (child,) = children()
    shown = shown_of(child)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [one for one in shown if SECRET.encode() in one] == []


async def test_setting_is_a_json_list(tmp_path, web):
    """The variable that the documents show opens what it names, when AgentPod itself opens the notifier."""
    host = Host(builtins=[AppriseNotifier()], entry_points=[])
    settings = {"private_addresses": '["127.0.0.0/8", "mail.internal"]'}
    opening = await host.open(folder=tmp_path, instance="abcdefgh", settings=lambda *_: settings, clock=FakeClock())
    assert opening == []
    await deliver(host.notifier("apprise"), 1, {"url": f"json://127.0.0.1:{web.port}/"})
    assert len(web.arrived) == 1


async def test_operator_is_told_of_a_mistake(tmp_path):
    """A setting that is no address keeps the notifier closed, with its field."""
    host = Host(builtins=[AppriseNotifier()], entry_points=[])
    settings = {"private_addresses": '["10.0.0.256"]'}
    (error,) = await host.open(folder=tmp_path, instance="abcdefgh", settings=lambda *_: settings, clock=FakeClock())
    assert error.reason == "InvalidSettings"
