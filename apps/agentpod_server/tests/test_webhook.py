"""The webhook notifier against a real receiver: the contract, its answers one by one, and where it does not go."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import hmac
import json
import socket
import ssl
import threading
import tracemalloc

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agentpod_core import schema
from agentpod_core.errors import ConfigError, PermanentError, TemporaryError
from agentpod_core.host import Host
from agentpod_core.plugpoints.context import HostContext, NoSettings
from agentpod_core.testing import FakeClock, NotifierContract
from agentpod_core.testing.notifiers import alert, deliver, refusal, taken
from agentpod_core.values.addresses import AllowedAddresses
from agentpod_server.notifiers import WebhookNotifier
from agentpod_server.notifiers.outward import Outward, is_own, resolve
from agentpod_server.notifiers.testing import receiving

SECRET = b"hunter2-hunter2-hunter2-hunter2"
KEY = "whsec_" + base64.b64encode(SECRET).decode()
LOOPBACK = AllowedAddresses.of(["127.0.0.0/8"])
PATIENCE = 0.6
NO_FAMILY = 99


def notifier_of(allowed=LOOPBACK, seconds=PATIENCE, find=resolve, agent="AgentPod/1.2.3"):
    """Give a notifier that may reach the loopback."""
    return WebhookNotifier(Outward(allowed=allowed, resolve=find), agent=agent, seconds=seconds)


@pytest.fixture
async def receiver():
    """A receiver that runs."""
    async with receiving() as one:
        yield one


@pytest.fixture
def closed_port():
    """A port of the loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class TestWebhookNotifier(NotifierContract):
    patience = 3.0

    @pytest.fixture
    def notifier(self):
        return notifier_of()

    @pytest.fixture
    def host(self, notifier):
        return Host(builtins=[notifier], entry_points=())

    @pytest.fixture
    def target(self, receiver):
        return {"url": receiver.url(), "key": KEY}

    @pytest.fixture
    def inbox(self, receiver):
        return receiver.texts

    @pytest.fixture
    def unreachable(self, closed_port):
        return {"url": f"http://127.0.0.1:{closed_port}/", "key": KEY}

    @pytest.fixture
    def hanging(self, receiver):
        return {"url": receiver.url("/hangs"), "key": KEY}

    @pytest.fixture
    def refusing(self, receiver):
        return {"url": receiver.url("/410"), "key": KEY}

    @pytest.fixture
    def wrong_targets(self):
        return [
            {"url": "ops.example.com", "key": KEY},
            {"url": "https://user:hunter2@ops.example.com/", "key": KEY},
            {"url": "https://ops.example.com/", "key": "hunter2"},
            {"url": "https://ops.example.com/"},
            {"key": KEY},
            {"url": "https://ops.example.com/", "key": KEY, "method": "GET"},
            {"url": "http://10.0.0.1/", "key": KEY},
            {"url": "http://[::1]/", "key": KEY},
        ]

    @pytest.fixture
    def secret_texts(self):
        return ["hunter2", KEY]


async def failure(receiver, path, **notifier):
    """Give the error that a path of the receiver leads to."""
    with pytest.raises((TemporaryError, PermanentError)) as caught:
        await deliver(notifier_of(**notifier), 1, {"url": receiver.url(path), "key": KEY})
    return caught.value


async def test_message_is_signed_and_says_it_all(receiver, tmp_path):
    """The receiver finds who sent it, when, under which id, and that nobody changed it."""
    notifier = notifier_of()
    clock = FakeClock()
    await notifier.open(HostContext(instance="abcdefgh", folder=tmp_path, settings=NoSettings(), clock=clock))
    await deliver(notifier, 1, {"url": receiver.url("/in?x=y"), "key": KEY})
    (got,) = receiver.received
    second = str(int(clock.now().timestamp()))
    signed = b".".join((b"message-1", second.encode(), got.body))
    signature = base64.b64encode(hmac.digest(SECRET, signed, hashlib.sha256)).decode()
    assert got.path == "/in?x=y"
    assert got.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "user-agent": "AgentPod/1.2.3",
        "content-type": "application/json",
        "content-length": str(len(got.body)),
        "accept-encoding": "identity",
        "connection": "close",
        "webhook-id": "message-1",
        "webhook-timestamp": second,
        "webhook-signature": f"v1,{signature}",
    }
    sent = alert()
    assert json.loads(got.body) == {
        "type": "alert.raised",
        "timestamp": "2030-01-02T03:04:05Z",
        "data": {
            "alert_id": "alert-1",
            "reason": "CrashLoop",
            "severity": "error",
            "tenant": "contract-tenant",
            "pod": "pod-1",
            "title": sent.title,
            "text": sent.text,
            "url": sent.url,
            "params": {},
        },
    }


async def test_another_try_is_the_same_message(receiver):
    """Id and body stay, so that a receiver can drop a double; what is over is another message about the same."""
    for recovered in (False, False, True):
        await deliver(notifier_of(), 1, {"url": receiver.url(), "key": KEY}, recovered=recovered)
    first, again, over = receiver.received
    assert (first.headers["webhook-id"], first.body) == (again.headers["webhook-id"], again.body)
    assert over.headers["webhook-id"] == "message-1-over"
    assert [json.loads(one.body)["type"] for one in (first, over)] == ["alert.raised", "alert.recovered"]
    assert len({json.loads(one.body)["data"]["alert_id"] for one in (first, over)}) == 1


async def test_keys_change_without_a_gap(receiver):
    """While two keys hold, a message is signed with both: a receiver that knows either finds it genuine."""
    other = b"another-another-another-another"
    target = {"url": receiver.url(), "key": KEY, "next_key": "whsec_" + base64.b64encode(other).decode()}
    await deliver(notifier_of(), 1, target)
    (got,) = receiver.received
    signed = b".".join((b"message-1", got.headers["webhook-timestamp"].encode(), got.body))
    expected = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in (SECRET, other)]
    assert got.headers["webhook-signature"] == " ".join(f"v1,{one}" for one in expected)


async def test_what_is_wrong_with_the_next_key_is_told():
    """It is looked at like the first one."""
    error = await refusal(notifier_of(), {"url": "https://ops.example.com/", "key": KEY, "next_key": "short"})
    assert [problem.path for problem in error.problems] == ["$.next_key"]


def test_the_url_is_a_secret():
    """Whoever knows the path may post at many services: what is stored and shown holds none of it."""
    url = "https://hooks.example.com/services/T0/B0/hunter2?token=hunter2"
    accepted = schema.accept(schema.json_schema(WebhookNotifier.target_type), {"url": url, "key": KEY})
    assert (accepted.problems, accepted.value, accepted.secrets) == ([], {}, {"url": url, "key": KEY})


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_yes_is_yes(receiver, status):
    """Any answer of the 200s is a delivery."""
    await deliver(notifier_of(), 1, {"url": receiver.url(f"/{status}"), "key": KEY})
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_trouble_of_the_receiver_is_temporary(receiver, status):
    """What the receiver may get over is tried again."""
    error = await failure(receiver, f"/{status}")
    assert (type(error), error.reason, error.params) == (
        TemporaryError,
        "TargetBusy",
        {"host": "127.0.0.1", "answer": str(status)},
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422, 451])
async def test_no_may_be_a_slip(receiver, status):
    """A receiver that is deployed, or changes its keys, says no for a while: it is told so, and tried again."""
    error = await failure(receiver, f"/{status}")
    assert (type(error), error.reason, error.params["answer"]) == (TemporaryError, "TargetRefused", str(status))


async def test_gone_is_gone(receiver):
    """The one answer that says for good that nobody is there ends it."""
    error = await failure(receiver, "/410")
    assert (type(error), error.reason, error.params["answer"]) == (PermanentError, "TargetRefused", "410")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_not_followed(receiver, status):
    """Where an answer leads is told, without what may be secret, and nobody goes there."""
    receiver.answer_headers["location"] = f"http://me:hunter2@127.0.0.1:{receiver.port}/hunter2?t=hunter2#hunter2"
    error = await failure(receiver, f"/{status}")
    assert error.reason == "TargetRefused"
    place = f"http://127.0.0.1:{receiver.port}"
    assert error.params["answer"] == f"{status}, which leads to {place}, and is not followed"
    assert receiver.connections == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("0", 0), ("999999999", 3600), ("-1", None), ("soon", None), ("", None), ("9" * 5000, None)]
    + [(f"Wed, 21 Oct {year} 07:28:00 {zone}", None) for year, zone in (("9" * 20, "GMT"), ("2015", "+" + "9" * 20))],
)
async def test_receiver_may_say_when(receiver, text, seconds):
    """Retry-After is heeded, for an hour at most; what makes no sense is ignored."""
    receiver.answer_headers["retry-after"] = text
    assert (await failure(receiver, "/503")).retry_after == seconds


async def test_receiver_may_say_until_when(receiver):
    """Retry-After may be a time."""
    now = dt.datetime.now(dt.UTC)
    receiver.answer_headers["retry-after"] = (now + dt.timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert 80 <= (await failure(receiver, "/429")).retry_after <= 90
    receiver.answer_headers["retry-after"] = "Wed, 21 Oct 2015 07:28:00 GMT"
    assert (await failure(receiver, "/429")).retry_after == 0


@pytest.mark.parametrize("path", ["/hangs", "/slow"])
async def test_time_is_bounded_in_all(receiver, path):
    """A receiver that says nothing, or a byte now and then, is given up when the time is over."""
    began = asyncio.get_running_loop().time()
    error = await failure(receiver, path, seconds=0.3)
    assert (error.reason, error.params["cause"]) == ("TargetUnreachable", "no answer within 0.3 seconds")
    assert asyncio.get_running_loop().time() - began < 2


async def test_answer_is_read_to_a_limit(receiver):
    """An answer without end is a delivery of which the beginning was read."""
    tracemalloc.start()
    await deliver(notifier_of(seconds=20), 1, {"url": receiver.url("/endless"), "key": KEY})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000


async def test_receiver_that_hangs_up_is_temporary(receiver):
    """A connection that is closed without an answer says nothing about the message."""
    error = await failure(receiver, "/closes")
    assert (error.reason, error.params["cause"]) == ("TargetUnreachable", "it closed the connection")


async def test_all_that_is_wrong_is_told_at_once():
    """A wrong key does not hide a wrong URL."""
    error = await refusal(notifier_of(), {"url": "ftp://x", "key": "short"})
    assert [problem.path for problem in error.problems] == ["$.url", "$.key"]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", None),
        ("10.213.0.2", "10.213.0.2"),
        ("169.254.169.254", "169.254.169.254"),
        ("[::1]", "::1"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ("0.0.0.0", "0.0.0.0"),
        ("0", "0.0.0.0"),
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
    ],
)
async def test_private_address_is_refused(receiver, host, address):
    """However an address is written, what is not public is refused when the target is made and when it is used."""
    notifier = notifier_of(allowed=AllowedAddresses())
    target = {"url": f"http://{host}:{receiver.port}/", "key": KEY}
    with pytest.raises(ConfigError) as caught:
        await deliver(notifier, 1, target)
    for error in (caught.value, await refusal(notifier, target)):
        (problem,) = error.problems
        assert (problem.path, problem.reason) == ("$.url", "PrivateAddress")
        assert problem.params["address"] == address or address is None
        assert problem.params["setting"] == "AGENTPOD_NOTIFY_PRIVATE_ADDRESSES"
        assert "AGENTPOD_NOTIFY_PRIVATE_ADDRESSES" in problem.message
    assert receiver.connections == 0


def at(*addresses):
    """Give a resolver that answers with these addresses, one after another, the last for ever."""
    left = list(addresses)

    def find(host, port):
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, (one, port)) for one in found]

    return find


def test_own_addresses_are_known():
    """Of its own addresses a machine says so, whatever they look like, and of no other."""
    assert is_own(socket.AF_INET, ("127.0.0.3", 80))
    assert not is_own(socket.AF_INET, ("1.1.1.1", 80))
    assert not is_own(socket.AF_INET6, ("2606:4700::1111", 80, 0, 0))
    assert not is_own(NO_FAMILY, ("1.1.1.1", 80))


async def test_public_address_of_this_machine_is_refused(receiver, monkeypatch):
    """What the server sends to itself passes no firewall; the operator may allow it."""
    monkeypatch.setattr("agentpod_server.notifiers.outward.is_own", lambda *_: True)
    target = {"url": "http://ours.example/", "key": KEY}
    (problem,) = (await refusal(notifier_of(allowed=AllowedAddresses(), find=at(["1.1.1.1"])), target)).problems
    assert (problem.reason, problem.params["address"]) == ("PrivateAddress", "1.1.1.1")
    opened = notifier_of(allowed=AllowedAddresses.of(["1.1.1.1"]), find=at(["1.1.1.1"]))
    await opened.check(*taken(opened, target))


async def test_name_with_one_private_address_is_refused(receiver):
    """A name with several addresses is judged by the worst of them."""
    notifier = notifier_of(find=at(["127.0.0.1", "10.0.0.1"]))
    with pytest.raises(ConfigError):
        await deliver(notifier, 1, {"url": f"http://two.example:{receiver.port}/", "key": KEY})
    assert receiver.connections == 0


async def test_name_that_changes_its_mind_leads_nowhere_else(receiver):
    """What was resolved and judged is what is connected to: nobody asks a second time."""
    notifier = notifier_of(find=at(["127.0.0.1"], ["10.0.0.1"]))
    await deliver(notifier, 1, {"url": f"http://rebinding.example:{receiver.port}/", "key": KEY})
    (got,) = receiver.received
    assert got.headers["host"] == f"rebinding.example:{receiver.port}"
    with pytest.raises(ConfigError):
        await deliver(notifier, 1, {"url": f"http://rebinding.example:{receiver.port}/", "key": KEY})


async def test_next_address_is_tried(receiver):
    """A name whose first address takes no connection is reached by the second."""
    notifier = notifier_of(find=at(["127.0.0.9", "127.0.0.1"]))
    await deliver(notifier, 1, {"url": f"http://two.example:{receiver.port}/", "key": KEY})
    assert len(receiver.received) == 1


async def test_address_that_this_machine_has_no_way_to_is_passed_over(receiver):
    """A machine without IPv6 is told IPv6 addresses all the same: the next one is tried, and none is a try later."""
    reached = [(socket.AF_INET, ("127.0.0.1", receiver.port))]
    unknown = [(NO_FAMILY, ("127.0.0.1", receiver.port))]
    target = {"url": f"http://both.example:{receiver.port}/", "key": KEY}
    await deliver(notifier_of(find=lambda *_: unknown + reached), 1, target)
    assert len(receiver.received) == 1
    with pytest.raises(TemporaryError) as caught:
        await deliver(notifier_of(find=lambda *_: unknown), 1, target)
    assert caught.value.reason == "TargetUnreachable"


async def test_name_that_leads_nowhere_is_temporary():
    """A name that nobody knows today is tried again, and not refused before it is stored."""

    def find(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    target = {"url": "http://nobody.example/", "key": KEY}
    notifier = notifier_of(find=find)
    await notifier.check(*taken(notifier, target))
    with pytest.raises(TemporaryError) as caught:
        await deliver(notifier, 1, target)
    assert caught.value.params == {"host": "nobody.example", "cause": "its name cannot be resolved"}


async def test_resolver_that_hangs_holds_up_nobody(receiver):
    """Names that take for ever to resolve are given up, and leave the others alone."""
    ends = threading.Event()

    def find(host, port):
        if host == "hangs.example":
            ends.wait()
        return resolve(host, port)

    notifier = notifier_of(find=find)
    try:
        stuck = [
            asyncio.create_task(deliver(notifier, 1, {"url": "http://hangs.example/", "key": KEY})) for _ in range(40)
        ]
        await deliver(notifier, 2, {"url": receiver.url(), "key": KEY})
        assert len(receiver.received) == 1
        given_up = await asyncio.gather(*stuck, return_exceptions=True)
        assert {one.reason for one in given_up} == {"TargetUnreachable"}
    finally:
        ends.set()


async def test_proxy_of_the_environment_is_not_used(receiver, monkeypatch, closed_port):
    """Messages go where they are addressed to, whatever the server's environment says."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
    await deliver(notifier_of(), 1, {"url": receiver.url(), "key": KEY})
    assert len(receiver.received) == 1


@pytest.fixture
def trusted(tmp_path, monkeypatch):
    """A certificate for ops.example that this machine trusts, as a server uses it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "agentpod test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("ops.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, secret = tmp_path / "public.pem", tmp_path / "secret.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, secret)
    return context


async def test_certificate_is_that_of_the_name(trusted):
    """Over TLS the receiver is known by the name in the URL, though an address is connected to."""
    async with receiving(trusted) as receiver:
        notifier = notifier_of(find=at(["127.0.0.1"]), seconds=5)
        await deliver(notifier, 1, {"url": f"https://ops.example:{receiver.port}/", "key": KEY})
        assert len(receiver.received) == 1
        with pytest.raises(TemporaryError) as caught:
            await deliver(notifier, 1, {"url": f"https://other.example:{receiver.port}/", "key": KEY})
        assert "certificate" in caught.value.params["cause"].lower()
        assert len(receiver.received) == 1


async def test_certificate_of_a_name_that_ends_in_a_dot_is_found(trusted):
    """The dot that ends a whole name is for resolvers; no certificate has it."""
    async with receiving(trusted) as receiver:
        notifier = notifier_of(find=at(["127.0.0.1"]), seconds=5)
        await deliver(notifier, 1, {"url": f"https://ops.example.:{receiver.port}/", "key": KEY})
        assert len(receiver.received) == 1


async def test_certificate_that_nobody_signed_is_refused(trusted, monkeypatch):
    """TLS without a name that can be trusted is no delivery."""
    monkeypatch.delenv("SSL_CERT_FILE")
    async with receiving(trusted) as receiver:
        notifier = notifier_of(find=at(["127.0.0.1"]), seconds=5)
        with pytest.raises(TemporaryError) as caught:
            await deliver(notifier, 1, {"url": f"https://ops.example:{receiver.port}/", "key": KEY})
        assert "certificate" in caught.value.params["cause"].lower()
        assert receiver.received == []


def test_it_works_on_the_servers_event_loop(trusted):
    """The server runs on uvloop: messages, hanging receivers and TLS work there, and no connection is left."""

    async def all_of_it():
        async with receiving(trusted) as secure, receiving() as plain:
            notifier = notifier_of(find=at(["127.0.0.1"]), seconds=1)
            await deliver(notifier, 1, {"url": f"https://ops.example:{secure.port}/", "key": KEY})
            await deliver(notifier, 2, {"url": plain.url(), "key": KEY})
            for path, told in (("/hangs", TemporaryError), ("/410", PermanentError)):
                with pytest.raises(told):
                    await deliver(notifier, 1, {"url": plain.url(path), "key": KEY})
            return len(secure.received), len(plain.received)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(all_of_it()) == (1, 1)
