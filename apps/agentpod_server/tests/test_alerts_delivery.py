"""Alerts on a real PostgreSQL: who is told of what, in which order, and that nothing that is to be told is lost."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta

import pytest

from agentpod_core.errors import ConfigError, ConflictError, NotFoundError, PermanentError, TemporaryError
from agentpod_core.host import Host
from agentpod_core.testing import FakeNotifier
from agentpod_core.testing.store_stage import RECORD, STATUS, WORKLOAD
from agentpod_core.values.alerts import Clear, Raise
from agentpod_core.values.names import default_subdomain
from agentpod_core.values.pods import PodSpec
from agentpod_core.values.status import Severity
from agentpod_server.alert_records import MessageState
from agentpod_server.records import Scope
from agentpod_server.secrets import Key, KeyRing, PostgresSecretStore
from agentpod_server.services.alerts import Alerts, Asked, Delivery, Targets, Wording
from agentpod_server.services.alerts import delivery as delivering
from agentpod_server.services.config import Given
from agentpod_server.services.cursors import Cursors
from agentpod_server.services.offers import Offers
from agentpod_server.services.vault import Vault
from agentpod_server.store import events, pods, targets, tenants
from agentpod_server.store.engine import PostgresStore
from agentpod_server.store.listen import Listener
from agentpod_server.testing import SystemClock, eventually

ALL = Scope(actor="test")
DOWN = Raise(
    reason="CrashLoop",
    severity=Severity.ERROR,
    params={"cause": "PermanentExit", "cause_params": {"exit_code": 78}},
)
GROWS = Raise(reason="MemoryGrowing", severity=Severity.WARNING, params={"memory": 1, "limit": 2, "minutes": 3})
AWAY = Raise(reason="EngineUnreachable", severity=Severity.ERROR)


class Box(FakeNotifier):
    """A notifier in memory whose errors a test orders, next one first."""

    def __init__(self):
        super().__init__()
        self.errors = []
        self.hold = None
        self.tried = []

    async def send(self, alert, target, material):
        self.tried.append(alert)
        if self.hold is not None and target.password is not None:
            await self.hold.wait()
        if self.errors:
            raise self.errors.pop(0)
        await super().send(alert, target, material)


class Leader:
    epoch = None


class Stage:
    """The parts of a server that tell people, and pods to tell of."""

    def __init__(self, database):
        self.database = database
        self.box = Box()
        self.host = Host(builtins=[self.box], entry_points=[])
        self.secrets = PostgresSecretStore(database, KeyRing((Key(secrets.token_bytes(32)),)))
        self.vault = Vault(self.secrets, {"postgres": self.secrets})
        self.offers = Offers(self.host)
        self.store = PostgresStore(
            database,
            listener=Listener(database),
            hosts=lambda one: (one,),
            secret_stores={"postgres": self.secrets},
        )
        self.clock = SystemClock()
        cursors = Cursors(b"k" * 32)
        self.targets = Targets(database, cursors, self.offers, self.vault, self.clock, Wording())
        self.alerts = Alerts(database, cursors, self.clock)
        self.leader = Leader()
        self.ids = {}

    def delivery(self, **parts):
        return Delivery(self.database, self.leader, self.offers, self.vault, Wording(), **parts)

    async def lead(self, holder="one"):
        self.leader.epoch = await self.store.lead(holder, 60)

    async def pod(self, tenant, name):
        async with self.database.transaction(ALL):
            placement = await pods.place(tenant)
            spec = PodSpec(adapter="echo", subdomain=default_subdomain(tenant, name))
            made = await pods.create(placement, name=name, spec=spec, workload=WORKLOAD, secrets={}, credential=None)
        self.ids[f"{tenant}/{name}"] = made.id
        return made.id

    async def change(self, pod, *changes):
        await self.store.save(self.leader.epoch, self.ids[pod], status=STATUS, record=RECORD, alerts=changes)

    async def target(self, name, *, scope=ALL, secret=None, **parts):
        given = Given(secrets={"password": secret} if secret else {})
        asked = Asked(name=name, kind="fake", given=given, **parts)
        return (await self.targets.create(scope, asked))[0]

    async def drain(self):
        await self.delivery().drain()

    def sent(self):
        """Give what was sent, as subject, reason and whether it is over."""
        return [(f"{one.tenant}/{one.pod}", one.reason, one.recovered) for one in self.box.sent]

    async def deliveries(self):
        """Give what became of every message: its target, its kind, its state."""
        found, _ = await self.alerts.listing(ALL)
        return [(one.target, one.kind.value, one.state.value) for alert in found for one in alert.deliveries]

    async def make_due(self):
        async with self.database.transaction(ALL) as transaction:
            await transaction.execute("update alerts_outbox set due_at = now()")


@pytest.fixture
async def stage(database, tmp_path):
    """Two tenants with a pod each, an open notifier, and the lead."""
    made = Stage(database)
    errors = await made.host.open(
        folder=tmp_path, instance="testtest", settings=lambda *_: {}, clock=made.clock, domain="agents.test"
    )
    assert errors == []
    async with database.transaction(ALL):
        for slug in ("acme", "globex"):
            await tenants.create(slug=slug, address_range="10.214.0.0/16")
    for tenant in ("acme", "globex"):
        await made.pod(tenant, "bot")
    await made.lead()
    yield made
    await made.host.close()


async def _tenant_scope(stage, slug):
    async with stage.database.transaction(ALL):
        return Scope(tenant_id=(await tenants.get(slug)).id, actor="theirs")


async def test_an_alert_is_told_once_and_its_end_once(stage):
    """Raised and raised again it is one message, and one more when it is over; both know what they are about."""
    await stage.target("ops")
    for _ in range(3):
        await stage.change("acme/bot", DOWN)
        await stage.drain()
    await stage.change("acme/bot", Clear(reason="CrashLoop"))
    await stage.drain()
    await stage.drain()

    raised, over = stage.box.sent
    assert stage.sent() == [("acme/bot", "CrashLoop", False), ("acme/bot", "CrashLoop", True)]
    assert raised.alert_id == over.alert_id
    assert raised.id != over.id
    assert (raised.title, over.title) == ("acme/bot: Crash loop", "acme/bot is well again: Crash loop")
    assert "exit code 78" in raised.text
    assert "agentpod pod restart acme/bot" in raised.text
    assert over.params["ends"] == [raised.alert_id]
    assert await stage.deliveries() == [("ops", "raised", "delivered"), ("ops", "recovered", "delivered")]


async def test_who_is_told_of_what(stage):
    """A target of the platform hears all, a tenant's only that tenant's, and each what it asked for."""
    theirs = await _tenant_scope(stage, "acme")
    await stage.target("all", min_severity=Severity.INFO)
    await stage.target("grave", min_severity=Severity.ERROR)
    await stage.target("engine", reasons=("EngineUnreachable",))
    await stage.target("own", scope=theirs, min_severity=Severity.INFO)

    await stage.change("acme/bot", GROWS)
    await stage.change("globex/bot", DOWN)
    await stage.store.report((), alerts=(AWAY,))

    found, _ = await stage.alerts.listing(ALL)
    told = {alert.reason: sorted(one.target for one in alert.deliveries) for alert in found}
    assert told == {
        "MemoryGrowing": ["all", "own"],
        "CrashLoop": ["all", "grave"],
        "EngineUnreachable": ["all", "engine", "grave"],
    }


async def test_a_worse_alert_is_told_only_to_who_did_not_know(stage):
    """Whoever heard of the lesser one is not told again; whoever asked for the worse one alone is."""
    await stage.target("ops")
    await stage.target("loops", reasons=("CrashLoop",))
    await stage.change("acme/bot", Raise(reason="Degraded", severity=Severity.ERROR))
    await stage.change("acme/bot", Raise(reason="CrashLoop", severity=Severity.ERROR, replaces=("Degraded",)))
    await stage.change("acme/bot", Clear(reason="CrashLoop"))

    assert sorted(await stage.deliveries()) == [
        ("loops", "raised", "pending"),
        ("loops", "recovered", "pending"),
        ("ops", "raised", "pending"),
        ("ops", "recovered", "pending"),
    ]


async def test_alerts_that_end_together_end_in_one_message(stage):
    """A target hears once that it is over, and which alerts that ends."""
    await stage.target("ops")
    await stage.target("memory", reasons=("MemoryGrowing",))
    await stage.change("acme/bot", GROWS, DOWN)
    await stage.change("acme/bot", Clear(reason="MemoryGrowing", is_silent=True), Clear(reason="CrashLoop"))
    await stage.drain()

    over = [one for one in stage.box.sent if one.recovered]
    raised = {one.alert_id for one in stage.box.sent if not one.recovered}
    assert len(over) == 2
    assert [set(one.params["ends"]) for one in over] == [raised, raised]


async def test_what_ends_silently_is_not_told(stage):
    """Of a pod that is stopped or deleted nobody hears that it is well."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    await stage.drain()
    await stage.change("acme/bot", Clear(reason="CrashLoop", is_silent=True))
    await stage.drain()

    assert stage.sent() == [("acme/bot", "CrashLoop", False)]


async def test_a_target_that_comes_later_hears_what_is_open(stage):
    """Whoever is added in the midst of trouble is told of it."""
    await stage.change("acme/bot", DOWN)
    await stage.drain()
    await stage.target("ops")
    await stage.drain()
    await stage.drain()

    assert stage.sent() == [("acme/bot", "CrashLoop", False)]


# Silences.


@pytest.mark.parametrize(
    "about", [{"tenant": "acme"}, {"tenant": "acme", "pod": "bot"}, {"reason": "CrashLoop"}], ids=str
)
async def test_a_silenced_alert_is_told_when_the_silence_ends(stage, about):
    """While it is silenced it is kept and listed; what is still wrong afterwards is told then."""
    await stage.target("ops")
    ends_at = stage.clock.now() + timedelta(hours=1)
    silence = await stage.alerts.silence(ALL, ends_at=ends_at, **about)
    await stage.change("acme/bot", DOWN)
    await stage.change("globex/bot", GROWS)
    await stage.drain()
    assert stage.sent() == [("globex/bot", "MemoryGrowing", False)]
    found, _ = await stage.alerts.listing(ALL, is_open=True, tenant="acme")
    assert [(one.reason, one.is_silenced) for one in found] == [("CrashLoop", True)]

    await stage.alerts.end_silence(ALL, silence.id)
    await stage.drain()

    assert stage.sent()[1:] == [("acme/bot", "CrashLoop", False)]


async def test_a_silence_runs_out(stage):
    """After its time it is none, without anybody's doing."""
    await stage.target("ops")
    await stage.alerts.silence(ALL, ends_at=stage.clock.now() + timedelta(hours=1), tenant="acme")
    await stage.change("acme/bot", DOWN)
    await stage.drain()
    async with stage.database.transaction(ALL) as transaction:
        await transaction.execute("update silences set ends_at = now()")

    await stage.drain()

    assert stage.sent() == [("acme/bot", "CrashLoop", False)]
    assert await stage.alerts.silences(ALL) == ([], None)


async def test_what_passed_in_silence_is_never_told(stage):
    """An alert that came and went while it was silenced has no message at all."""
    await stage.target("ops")
    await stage.alerts.silence(ALL, ends_at=stage.clock.now() + timedelta(hours=1), tenant="acme")
    await stage.change("acme/bot", DOWN)
    await stage.change("acme/bot", Clear(reason="CrashLoop"))
    async with stage.database.transaction(ALL) as transaction:
        await transaction.execute("delete from silences")

    await stage.drain()

    assert stage.sent() == []


async def test_a_tenant_silences_its_own_targets_only(stage):
    """The operator is still told of what a tenant does not want to hear."""
    theirs = await _tenant_scope(stage, "acme")
    await stage.target("ops")
    await stage.target("own", scope=theirs)
    await stage.alerts.silence(theirs, ends_at=stage.clock.now() + timedelta(hours=1))
    await stage.change("acme/bot", DOWN)
    await stage.drain()

    assert await stage.deliveries() == [("ops", "raised", "delivered")]


async def test_a_silence_says_what_it_is_about(stage):
    """All that is wrong with a silence is told at once."""
    with pytest.raises(ConfigError) as caught:
        await stage.alerts.silence(ALL, ends_at=stage.clock.now(), comment="x" * 500)

    assert [one.reason for one in caught.value.problems] == ["SilenceOfNothing", "BadSilenceEnd", "TooLong"]


# Delivery.


async def test_a_target_that_is_away_is_tried_again(stage):
    """A message waits a while after an error that may pass, longer each time, and is shown at its target."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    stage.box.errors = [TemporaryError("TargetUnreachable", host="ops.example", cause="refused") for _ in range(3)]
    for _ in range(3):
        await stage.drain()
        await stage.drain()
        await stage.make_due()

    target = await stage.targets.get(ALL, "ops")
    assert target.failure.reason == "TargetUnreachable"
    await stage.drain()
    assert len(stage.box.tried) == 4
    assert len({one.id for one in stage.box.tried}) == 1
    assert stage.sent() == [("acme/bot", "CrashLoop", False)]
    assert (await stage.targets.get(ALL, "ops")).failure is None


def test_pauses_grow_to_an_hour(stage):
    """The pause doubles from 5 s up to an hour, with some chance, and never ends before the target's own wish."""
    found = [stage.delivery()._pause(attempts, None) for attempts in (1, 2, 5, 12, 400)]
    for pause, middle in zip(found, (5, 10, 80, 3600, 3600), strict=True):
        assert 0.8 * middle <= pause <= 1.2 * middle
    assert stage.delivery()._pause(1, 300.0) == 300.0
    assert stage.delivery(scale=0.01)._pause(1, None) <= 0.06


async def test_a_message_is_given_up_in_the_end(stage, monkeypatch):
    """After a day of trying it has failed; that is an event, and nobody hears that it is over either."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    stage.box.errors = [TemporaryError("TargetUnreachable", host="ops.example", cause="refused") for _ in range(2)]
    await stage.drain()
    await stage.change("acme/bot", Clear(reason="CrashLoop"))
    monkeypatch.setattr(delivering, "GIVEN_UP_AFTER", timedelta())
    await stage.make_due()
    await stage.drain()

    assert await stage.deliveries() == [("ops", "raised", "failed"), ("ops", "recovered", "failed")]
    assert stage.sent() == []
    async with stage.database.transaction(ALL):
        told = [one for one in await events.latest() if one.reason == "AlertNotDelivered"]
    assert [(one.params["target"], one.params["attempts"]) for one in told] == [("ops", 2)]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermanentError("TargetRefused", host="ops.example", answer="410"), "TargetRefused"),
        (ConfigError([]), "WrongTarget"),
    ],
    ids=["refused", "wrong"],
)
async def test_what_no_try_mends_fails_at_once(stage, error, reason):
    """A target that refuses for good is tried once, and says why."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    stage.box.errors = [error]
    await stage.drain()
    await stage.make_due()
    await stage.drain()

    assert len(stage.box.tried) == 1
    assert await stage.deliveries() == [("ops", "raised", "failed")]
    assert (await stage.targets.get(ALL, "ops")).failure.reason == reason


async def test_the_end_waits_for_the_beginning(stage):
    """While the first message of a pod waits, its second does too; other pods' go out."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    stage.box.errors = [TemporaryError("TargetUnreachable", host="x", cause="y")]
    await stage.drain()
    await stage.change("acme/bot", Clear(reason="CrashLoop"))
    await stage.change("globex/bot", DOWN)
    await stage.drain()
    assert stage.sent() == [("globex/bot", "CrashLoop", False)]

    await stage.make_due()
    await stage.drain()

    assert stage.sent()[1:] == [("acme/bot", "CrashLoop", False), ("acme/bot", "CrashLoop", True)]


async def test_a_slow_target_holds_up_nobody(stage):
    """While one target takes its time, the others are told."""
    stage.box.hold = asyncio.Event()
    await stage.target("slow", secret="pw")
    await stage.target("quick")
    await stage.change("acme/bot", DOWN)
    work = asyncio.create_task(stage.delivery().run())
    try:
        await eventually(lambda: len(stage.box.sent) == 1)
        await stage.change("globex/bot", DOWN)
        await eventually(lambda: len(stage.box.sent) == 2)
        assert sorted(stage.sent()) == [("acme/bot", "CrashLoop", False), ("globex/bot", "CrashLoop", False)]
        stage.box.hold.set()
        await eventually(lambda: len(stage.box.sent) == 4)
    finally:
        work.cancel()


async def test_a_message_that_was_cut_short_is_sent_by_the_next_leader(stage):
    """A process that ends between sending and crossing out leads to a second copy with the same id, never to none."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    first = stage.delivery()

    async def never(*_):
        await asyncio.get_running_loop().create_future()

    first._note = never
    work = asyncio.create_task(first.run())
    await eventually(lambda: len(stage.box.sent) == 1)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await stage.store.step_down("one")
    await stage.lead("two")

    await stage.drain()
    await stage.drain()

    assert len({one.id for one in stage.box.sent}) == 1
    assert len(stage.box.sent) == 2
    assert await stage.deliveries() == [("ops", "raised", "delivered")]


async def test_who_does_not_lead_sends_nothing(stage):
    """A stale leader cannot take a message."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    await stage.store.step_down("one")

    work = asyncio.create_task(stage.delivery().run())
    try:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(work), 1.5)
    finally:
        work.cancel()

    assert stage.box.tried == []


async def test_it_runs_by_itself(stage):
    """A loop that follows the database's hints tells a change within a moment, and the next one too."""
    listener = Listener(stage.database)
    await stage.target("ops")
    work = asyncio.create_task(stage.delivery(follow=lambda: listener.follow("alerts")).run())
    try:
        await stage.change("acme/bot", DOWN)
        await eventually(lambda: len(stage.box.sent) == 1, seconds=3)
        await stage.change("acme/bot", Clear(reason="CrashLoop"))
        await eventually(lambda: len(stage.box.sent) == 2, seconds=3)
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await listener.close()


async def test_a_storm_has_as_many_messages_as_causes(stage):
    """Fifty pods that fail at once are fifty messages to a target, each once, whatever else goes on."""
    await stage.target("ops")
    names = [f"bot-{number}" for number in range(50)]
    for name in names:
        await stage.pod("acme", name)
        await stage.change(f"acme/{name}", DOWN)
    await asyncio.gather(stage.drain(), *(stage.change(f"acme/{name}", DOWN) for name in names[:10]))
    await stage.drain()

    assert sorted(stage.sent()) == sorted((f"acme/{name}", "CrashLoop", False) for name in names)


# Targets.


async def test_a_targets_secrets_are_kept_apart(stage):
    """What is stored of a target holds no secret; the notifier gets it, and it goes with the target."""
    await stage.target("ops", secret="pa55word")
    async with stage.database.transaction(ALL) as transaction:
        assert "pa55word" not in str(await transaction.fetch("select * from alert_routes"))
    target = await stage.targets.get(ALL, "ops")
    assert stage.targets.shown(target) == {"password": {"$secret": True}}
    assert list((await stage.vault.material("", target.settings)).values()) == ["pa55word"]

    await stage.targets.remove(ALL, "ops")

    assert await stage.secrets.list("") == []
    with pytest.raises(NotFoundError):
        await stage.targets.get(ALL, "ops")


async def test_the_same_target_again_is_the_same(stage):
    """Asked for again it is the one that exists; with other content it is refused, with what differs."""
    made = await stage.target("ops", secret="pw")
    assert (await stage.target("ops", secret="pw")).id == made.id

    with pytest.raises(ConflictError) as caught:
        await stage.target("ops", secret="other", min_severity=Severity.ERROR)

    assert caught.value.params["differences"] == ["min_severity", "config.password"]


async def test_all_that_is_wrong_with_a_target_is_told(stage):
    """Name, reasons and settings, each with its place."""
    asked = Asked(name="No Name", kind="fake", reasons=("Nonsense",), given=Given(config={"fails": "x", "odd": 1}))
    with pytest.raises(ConfigError) as caught:
        await stage.targets.create(ALL, asked)
    assert {one.path for one in caught.value.problems} == {"$.name", "$.reasons", "$.config.fails", "$.config.odd"}

    with pytest.raises(ConfigError) as caught:
        await stage.target("ops", secret="with space")
    assert [one.path for one in caught.value.problems] == ["$.config.password"]
    with pytest.raises(ConfigError) as caught:
        await stage.targets.create(ALL, Asked(name="ops", kind="telepathy"))
    assert [one.reason for one in caught.value.problems] == ["UnknownNotifier"]


async def test_tenants_have_targets_of_their_own(stage):
    """A tenant sees and removes its own only, and may use any name."""
    acme, globex = await _tenant_scope(stage, "acme"), await _tenant_scope(stage, "globex")
    await stage.target("ops")
    await stage.target("ops", scope=acme)

    assert [one.tenant for one in (await stage.targets.listing(acme))[0]] == ["acme"]
    assert (await stage.targets.listing(globex))[0] == []
    assert [one.tenant for one in (await stage.targets.listing(ALL))[0]] == ["", "acme"]
    with pytest.raises(NotFoundError):
        await stage.targets.remove(globex, "ops")
    await stage.targets.remove(ALL, "ops", tenant="acme")
    assert [one.tenant for one in (await stage.targets.listing(ALL))[0]] == [""]


async def test_a_test_says_what_came_of_it(stage):
    """A test message is sent at once, past outbox and silences, and what went wrong is said."""
    await stage.target("ops")
    assert (await stage.targets.test(ALL, "ops")).failure is None
    assert [one.reason for one in stage.box.sent] == ["TestAlert"]
    stage.box.errors = [TemporaryError("TargetUnreachable", host="x", cause="y")]

    tested = await stage.targets.test(ALL, "ops")

    assert tested.failure.reason == "TargetUnreachable"
    assert (await stage.targets.get(ALL, "ops")).failure == tested.failure


async def test_a_removed_target_hears_nothing_more(stage):
    """What it was still to be told goes with it."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    await stage.targets.remove(ALL, "ops")
    await stage.drain()

    assert stage.box.tried == []


async def test_a_forgotten_pod_leaves_no_open_alert(stage):
    """Listings of what is open hold nothing that is gone."""
    await stage.change("acme/bot", DOWN)
    async with stage.database.transaction(ALL) as transaction:
        await transaction.execute("update pods set wanted = 'deleted'")
    await stage.store.forget_pod(stage.leader.epoch, stage.ids["acme/bot"])

    assert await stage.alerts.listing(ALL, is_open=True) == ([], None)
    assert [one.reason for one in (await stage.alerts.listing(ALL, is_open=False))[0]] == ["CrashLoop"]


async def test_messages_are_listed_with_their_state(stage):
    """An alert says whom it was told, and what came of that."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)

    (found,), _ = await stage.alerts.listing(ALL)

    assert [(one.target, one.state, one.attempts) for one in found.deliveries] == [("ops", MessageState.PENDING, 0)]
    async with stage.database.transaction(ALL):
        assert (await targets.get("ops")).delivered_at is None
