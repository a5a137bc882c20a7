"""The store in memory passes the contract, and each test of it finds a store that is broken in its way."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import ClassVar

import msgspec
import pytest

from agentpod_core.embedding.memory_alerts import KeptAlerts
from agentpod_core.errors import ConflictError, NotFoundError
from agentpod_core.ports import RESYNC, ROUTES, pod_key
from agentpod_core.testing import FakeStore, StoreContract
from agentpod_core.testing.teeth import Broken, Teeth
from agentpod_core.values.alerts import Raise
from agentpod_core.values.pods import Lease, Wanted

replace = msgspec.structs.replace


class TestFakeStore(StoreContract):
    """The memory store, which is its own stage."""

    kind = FakeStore
    patience = 0.8

    @pytest.fixture
    def store(self):
        return self.kind()

    @pytest.fixture
    def stage(self, store):
        return store


# What it gives.


class LosesCredentials(FakeStore):
    async def pod(self, pod_id):
        pod = await super().pod(pod_id)
        return pod and replace(pod, secrets={}, credential=None)


class ListsWithoutWorkload(FakeStore):
    async def pods(self):
        return [replace(pod, workload=replace(pod.workload, image="")) for pod in await super().pods()]


class RoutesAsBefore(FakeStore):
    async def ways_in(self):
        return [replace(one, wanted=Wanted.RUNNING) for one in await super().ways_in()]


class ForgetsPodsOfATenant(FakeStore):
    async def tenant(self, tenant_id):
        tenant = await super().tenant(tenant_id)
        return tenant and replace(tenant, pods=())


class TakesIdsOnly(FakeStore):
    async def pod(self, pod_id):
        if len(pod_id) != 36:
            raise ValueError("badly formed id")
        return await super().pod(pod_id)


class RunsOutOfSubnets(FakeStore):
    """It has two subnets and gives them again and again."""

    async def add_tenant(self, slug):
        tenant_id = await super().add_tenant(slug)
        tenant = self._tenants[tenant_id]
        number = tenant.lease.number % 2
        lease = Lease(number=number, subnet=f"10.217.0.{64 * number}/26", gateway=f"10.217.0.{64 * number + 1}")
        self._tenants[tenant_id] = replace(tenant, lease=lease)
        return tenant_id


class KeepsTheFirstWorkload(FakeStore):
    async def change_pod(self, pod_id, *, workload=None, config=None):
        return await super().change_pod(pod_id, config=config)


class StopsWithoutWorkload(FakeStore):
    async def want_pod(self, pod_id, wanted, *, keep_data=False):
        await super().want_pod(pod_id, wanted, keep_data=keep_data)
        if wanted is Wanted.STOPPED:
            pod = self._pods[pod_id]
            self._pods[pod_id] = replace(pod, workload=replace(pod.workload, files=()))


class ReadsAnyVersion(FakeStore):
    async def secret(self, tenant_id, ref):
        versions = self._secrets.get((tenant_id, ref.key), [])
        return await super().secret(tenant_id, replace(ref, version=len(versions)))


class RemembersSecrets(FakeStore):
    """It answers without asking, also when there is nobody to ask."""

    async def secret(self, tenant_id, ref):
        if self._is_down:
            raise NotFoundError("SecretNotFound", key=ref.key)
        return await super().secret(tenant_id, ref)


# What it writes.


class SavesTheStatusOnly(FakeStore):
    async def save(self, epoch, pod_id, *, status, record, happenings=(), alerts=()):
        record = replace(record, failures=())
        await super().save(epoch, pod_id, status=status, record=record, happenings=happenings, alerts=alerts)


class TellsBackwards(FakeStore):
    def _report(self, happenings, tenant, pod):
        super()._report(happenings[::-1], tenant, pod)


class TellsOfTheDead(FakeStore):
    async def save(self, epoch, pod_id, *, status, record, happenings=(), alerts=()):
        await super().save(epoch, pod_id, status=status, record=record, happenings=happenings, alerts=alerts)
        if pod_id not in self._pods:
            self._report(happenings, "", "")


class KeepsSecrets(FakeStore):
    async def forget_pod(self, epoch, pod_id, happenings=()):
        kept = dict(self._secrets)
        await super().forget_pod(epoch, pod_id, happenings)
        self._secrets = kept


class ForgetsTheLiving(FakeStore):
    async def forget_pod(self, epoch, pod_id, happenings=()):
        self._demand(epoch)
        if pod_id in self._pods:
            self._pods[pod_id] = replace(
                self._pods[pod_id], spec=replace(self._pods[pod_id].spec, wanted=Wanted.DELETED)
            )
        await super().forget_pod(epoch, pod_id, happenings)


class GoesQuietly(FakeStore):
    async def forget_tenant(self, epoch, tenant_id, happenings=()):
        await super().forget_tenant(epoch, tenant_id)


class BlamesSomebody(FakeStore):
    async def report(self, happenings, alerts=(), epoch=None):
        await super().report((), alerts, epoch)
        self._report(happenings, "platform", "")


class ForgetsForAnybody(FakeStore):
    """Whoever leads or led may forget a pod."""

    async def forget_pod(self, epoch, pod_id, happenings=()):
        self._reach()
        await super().forget_pod(self._epoch, pod_id, happenings)


# Its alerts.


class ReportsForAnybody(FakeStore):
    """It asks nobody who reports whether it leads."""

    async def report(self, happenings, alerts=(), epoch=None):
        await super().report(happenings, alerts)


class ReadsAlertsOfPods(FakeStore):
    async def platform_alerts(self):
        of_pods = [Raise(reason=one.reason, severity=one.severity) for one in self.alerts if one.is_open and one.pod]
        return [*await super().platform_alerts(), *of_pods]


def kept_by(keeper):
    """Give a store whose alerts are kept so."""

    class Keeping(FakeStore):
        def __init__(self, **parts):
            super().__init__(**parts)
            self._alerts = keeper()

    return Keeping


class RaisesAgain(KeptAlerts):
    def _begin(self, raised, tenant, pod_id, pod):
        again = self._open.get(pod_id, {}).pop((raised.reason, raised.subject), None)
        if again and not raised.replaces and tenant:
            self._over.append(again)
        elif again:
            self._open[pod_id][raised.reason, raised.subject] = again
        super()._begin(raised, tenant, pod_id, pod)


class ClearsForEver(KeptAlerts):
    """What was over once is raised no more."""

    def _begin(self, raised, tenant, pod_id, pod):
        if not any(one.reason == raised.reason and one.pod == pod for _, one in self._over):
            super()._begin(raised, tenant, pod_id, pod)


class StartsAnew(KeptAlerts):
    def _begin(self, raised, tenant, pod_id, pod):
        for reason in raised.replaces:
            self._end(pod_id, reason, raised.subject)
        super()._begin(replace(raised, replaces=()), tenant, pod_id, pod)


class ClearsForAll(KeptAlerts):
    """What is over with the platform is over with every pod."""

    def _end(self, pod_id, reason, subject):
        for one in [pod_id] if pod_id else list(self._open):
            super()._end(one, reason, subject)


class LeavesAlertsBehind(KeptAlerts):
    def end(self, pod_id):
        pass


class KeepsTheFirstFacts(KeptAlerts):
    def _begin(self, raised, tenant, pod_id, pod):
        if (raised.reason, raised.subject) not in self._open.get(pod_id, {}):
            super()._begin(raised, tenant, pod_id, pod)


class ClearsEverySubject(KeptAlerts):
    def _end(self, pod_id, reason, subject):
        for one in self.open_of(pod_id):
            if one.reason == reason:
                super()._end(pod_id, reason, one.subject)


class KnowsNoSubject(KeptAlerts):
    """It takes what is raised of a second subject for the first one's."""

    def _begin(self, raised, tenant, pod_id, pod):
        known = next((one.subject for one in self.open_of(pod_id) if one.reason == raised.reason), raised.subject)
        super()._begin(replace(raised, subject=known), tenant, pod_id, pod)


# What it tells.


class BeginsAnywhere(FakeStore):
    async def changes(self):
        async for key in super().changes():
            yield ROUTES if key == RESYNC and not getattr(self, "began", False) else key
            self.began = True


class TellsNoChange(FakeStore):
    async def change_pod(self, pod_id, *, workload=None, config=None):
        queues, self._queues = self._queues, set()
        try:
            return await super().change_pod(pod_id, workload=workload, config=config)
        finally:
            self._queues = queues


class WakesItself(FakeStore):
    async def save(self, epoch, pod_id, *, status, record, happenings=(), alerts=()):
        await super().save(epoch, pod_id, status=status, record=record, happenings=happenings, alerts=alerts)
        self._tell(pod_key(pod_id))


class LetsTenantsSleep(FakeStore):
    async def forget_pod(self, epoch, pod_id, happenings=()):
        queues, self._queues = self._queues, set()
        await super().forget_pod(epoch, pod_id, happenings)
        self._queues = queues
        self._tell(pod_key(pod_id))


class MissesUnseen(FakeStore):
    def lose_changes(self):
        pass


# How it leads.


class RenewsAnew(FakeStore):
    async def lead(self, holder, seconds):
        self._epoch += holder == self._holder
        return await super().lead(holder, seconds)


class Races(FakeStore):
    """It looks whether the lease is free, waits, and takes it."""

    async def lead(self, holder, seconds):
        is_free = not self._holder
        await asyncio.sleep(0)
        if is_free:
            self._holder, self._epoch = holder, self._epoch + 1
        return await super().lead(holder, seconds)


class LeadsForEver(FakeStore):
    async def lead(self, holder, seconds):
        return await super().lead(holder, 1e9)


class NeverProlongs(FakeStore):
    async def lead(self, holder, seconds):
        expires = self._expires if holder == self._holder else None
        epoch = await super().lead(holder, seconds)
        self._expires = expires if expires is not None and epoch is not None else self._expires
        return epoch


class NeverStepsDown(FakeStore):
    async def step_down(self, holder):
        self._reach()


class AnybodyStepsDown(FakeStore):
    async def step_down(self, holder):
        await super().step_down(self._holder)


class WritesAfterwards(FakeStore):
    """Its epoch ends only when somebody else comes."""

    async def step_down(self, holder):
        self._reach()
        if holder == self._holder:
            self._holder = ""

    def _demand(self, epoch):
        self._reach()
        if epoch != self._epoch:
            raise ConflictError("NotLeader")


class FearsThePastOnly(FakeStore):
    def _demand(self, epoch):
        super()._demand(min(epoch, self._epoch))


# What it keeps of samples.


class FillsGaps(FakeStore):
    def samples(self, pod_id):
        full = []
        for sample in super().samples(pod_id):
            while full and full[-1].at + timedelta(minutes=1) < sample.at:
                full.append(replace(full[-1], at=full[-1].at + timedelta(minutes=1), cpu=0))
            full.append(sample)
        return full


class KeepsEverySecond(FakeStore):
    async def sampled(self, samples):
        await super().sampled(samples)
        for sample in samples:
            if sample.pod_id in self._samples:
                self._samples[sample.pod_id][sample.at] = sample


class ForgetsStarts(FakeStore):
    """Of the starts again in one minute it keeps those that were told last."""

    async def sampled(self, samples):
        await super().sampled(samples)
        for sample in samples:
            if sample.pod_id in self._samples:
                at = sample.at.replace(second=0, microsecond=0)
                self._samples[sample.pod_id][at] = replace(sample, at=at)


class RemembersTheDead(FakeStore):
    async def forget_pod(self, epoch, pod_id, happenings=()):
        kept = self._samples.get(pod_id, {})
        await super().forget_pod(epoch, pod_id, happenings)
        self._samples[pod_id] = kept


class TestTeeth(Teeth):
    contract = TestFakeStore
    # A store has no optional parts.
    test_an_absent_part_is_skipped_and_named = None
    broken: ClassVar = {
        "test_contract_is_intact": Broken(changes={"test_what_was_saved_is_read_back": lambda self: None}),
        "test_a_pod_comes_with_all_that_a_pass_needs": LosesCredentials,
        "test_all_pods_of_all_tenants_are_listed": ListsWithoutWorkload,
        "test_ways_in_are_those_of_the_pods": RoutesAsBefore,
        "test_a_tenant_comes_with_its_pods": ForgetsPodsOfATenant,
        "test_what_is_unknown_is_none": TakesIdsOnly,
        "test_no_two_pods_share_an_address": RunsOutOfSubnets,
        "test_a_change_makes_a_generation_with_its_own_workload": KeepsTheFirstWorkload,
        "test_a_stop_is_a_generation_with_the_same_workload": StopsWithoutWorkload,
        "test_what_was_saved_is_read_back": SavesTheStatusOnly,
        "test_happenings_become_events_of_the_pod": TellsBackwards,
        "test_a_pod_that_is_gone_is_not_saved": TellsOfTheDead,
        "test_a_forgotten_pod_leaves_nothing": KeepsSecrets,
        "test_only_what_is_wanted_deleted_is_forgotten": ForgetsTheLiving,
        "test_a_forgotten_tenant_leaves_nothing": GoesQuietly,
        "test_a_report_belongs_to_nobody": BlamesSomebody,
        "test_a_stale_epoch_changes_nothing": ForgetsForAnybody,
        "test_a_secret_is_read_by_its_reference": ReadsAnyVersion,
        "test_an_outage_is_temporary": RemembersSecrets,
        "test_an_alert_that_is_open_is_not_raised_again": kept_by(RaisesAgain),
        "test_a_cleared_alert_is_over": kept_by(ClearsForEver),
        "test_a_worse_alert_takes_over": kept_by(StartsAnew),
        "test_an_open_alert_gets_the_latest_facts": kept_by(KeepsTheFirstFacts),
        "test_alerts_of_one_reason_differ_by_subject": [
            kept_by(ClearsEverySubject),
            Broken(
                kind=kept_by(KnowsNoSubject),
                also=("test_the_platforms_open_alerts_are_read_back",),
                because="a second one that was never kept is not read back either",
            ),
        ],
        "test_the_platforms_open_alerts_are_read_back": ReadsAlertsOfPods,
        "test_a_report_of_a_former_leader_is_refused": ReportsForAnybody,
        "test_alerts_keep_to_whom_they_are_about": kept_by(ClearsForAll),
        "test_a_pod_that_goes_takes_its_alerts_along": kept_by(LeavesAlertsBehind),
        "test_samples_make_the_history_of_their_pod": FillsGaps,
        "test_a_minute_has_one_sample": [KeepsEverySecond, ForgetsStarts],
        "test_samples_of_pods_that_are_gone_are_left_out": RemembersTheDead,
        "test_changes_begin_with_a_resync": BeginsAnywhere,
        "test_changes_name_what_changed": TellsNoChange,
        "test_a_save_wakes_nobody": WakesItself,
        "test_a_pod_that_goes_wakes_its_tenant": LetsTenantsSleep,
        "test_changes_survive_an_outage": MissesUnseen,
        "test_one_leads_at_a_time": RenewsAnew,
        "test_of_many_at_once_one_leads": Races,
        "test_a_lease_that_ran_out_is_taken_over": LeadsForEver,
        "test_a_renewal_prolongs": NeverProlongs,
        "test_stepping_down_frees_the_lease_at_once": Broken(
            kind=NeverStepsDown,
            also=("test_a_stale_epoch_changes_nothing", "test_who_stepped_down_writes_no_more"),
            because="where nobody can step down, nobody is a former leader",
        ),
        "test_only_the_holder_steps_down": AnybodyStepsDown,
        "test_who_stepped_down_writes_no_more": WritesAfterwards,
        "test_an_epoch_of_the_future_writes_nothing": FearsThePastOnly,
    }


async def test_a_failure_can_be_ordered():
    """The next call raises what was ordered, and the one after works."""
    store = FakeStore()
    store.fail(OSError("ordered"))

    with pytest.raises(OSError, match="ordered"):
        await store.pods()
    assert await store.pods() == []
