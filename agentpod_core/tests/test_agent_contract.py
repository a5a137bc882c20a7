"""An adapter that does it right passes the contract, and each test of it finds one that is broken in its way."""

from __future__ import annotations

import random
from typing import Annotated, ClassVar

import msgspec
import pytest
from msgspec import Meta, Struct
from notes_adapter import CONFIGS, DAYS, KEY, NotesAdapter, Ping, Says

from agentpod_core import (
    AgentReport,
    ExecResult,
    File,
    ImageRecipe,
    OnChange,
    Probe,
    Repair,
    Reply,
    RouteSpec,
    SecretRef,
    TemporaryError,
)
from agentpod_core.host import Host
from agentpod_core.testing import AgentAdapterContract, FakeLink
from agentpod_core.testing.teeth import Broken, Teeth

STRANGER = SecretRef(key="somebody-elses")


class TestNotesAdapter(AgentAdapterContract):
    kind = NotesAdapter
    examples: ClassVar = CONFIGS
    offers: ClassVar = (NotesAdapter, Ping)

    @pytest.fixture
    def host(self):
        return Host(builtins=[one() for one in self.offers], entry_points=())

    @pytest.fixture
    def adapter(self):
        return self.kind()

    @pytest.fixture
    def configs(self):
        return self.examples

    @pytest.fixture
    def old_configs(self):
        return [(1, {"llm": "sonnet", "api_key": {"key": "notes"}})]

    @pytest.fixture
    def agent(self):
        reply = Reply(status=200, body=msgspec.json.encode({"version": "1.4", "days": DAYS}))
        commands = {("resume",): ExecResult(code=0), ("door",): ExecResult(code=0, stdout=b"/#grant=1")}
        return FakeLink({"GET /": reply}, commands=commands, credentials={"token": "hunter2"})


def changed(**changes):
    """Make an adapter whose workload differs in these fields."""

    class Changed(NotesAdapter):
        def workload(self, config, pod, package):
            return msgspec.structs.replace(super().workload(config, pod, package), **changes)

    return Changed


def adapter_with(**attributes):
    """Make an adapter with something of it replaced."""
    return type("Broken", (NotesAdapter,), attributes)


def config_with(*, frozen=True, forbid=True, lossy=False, **fields):
    """Make a broken case of a config type with other fields, and one example of it."""

    class Lossy(Struct, frozen=frozen, kw_only=True, forbid_unknown_fields=forbid):
        def __post_init__(self):
            if lossy:
                msgspec.structs.force_setattr(self, "note", f"{self.note}!")

    known = {"model": (str, "m"), "api_key": (SecretRef, KEY), "workers": (int, 2), "note": (str, "n")} | fields
    given = [(name, *field) for name, field in known.items()]
    made = msgspec.defstruct("Config", given, bases=(Lossy,), frozen=frozen, kw_only=True, forbid_unknown_fields=forbid)
    upgrade = NotesAdapter.upgrade
    return {"kind": adapter_with(config_type=made, upgrade=upgrade), "changes": {"examples": [made()]}}


class Unstable(NotesAdapter):
    def workload(self, config, pod, package):
        workload = super().workload(config, pod, package)
        return msgspec.structs.replace(workload, env={**workload.env, "SEED": str(random.random())})


class ReadsFiles(NotesAdapter):
    def workload(self, config, pod, package):
        with open("/dev/null") as file:  # noqa: PTH123 - what an author would write
            file.read()
        return super().workload(config, pod, package)


class Latest(changed(image="example/notes:latest")):
    def recipe(self):
        return ImageRecipe(image="example/notes:latest")


class RegistryPort(changed(image="registry.example:5000/example/notes")):
    def recipe(self):
        return ImageRecipe(image="registry.example:5000/example/notes")

    def recognise(self, image, command, env):
        return "example/notes" in image


class Raises(NotesAdapter):
    """It trusts whatever the agent answers."""

    async def _ask(self, link):
        return msgspec.json.decode((await link.http("GET", "/")).body, type=Says)


class TrustsTheShape(NotesAdapter):
    """It takes whatever is JSON for an answer."""

    async def _ask(self, link):
        try:
            answer = msgspec.json.decode((await link.http("GET", "/")).body)
        except msgspec.DecodeError:
            raise TemporaryError("WrongAnswer", what="/") from None
        return Says(version=answer["version"], days=answer["days"])


class HealsOnce(NotesAdapter):
    has_healed = False

    async def after_heal(self, link):
        await super().after_heal(link)
        if self.has_healed:
            raise TemporaryError("Unreachable")
        self.has_healed = True


class OpensForAll(NotesAdapter):
    async def open_door(self, link, pod):
        door = await super().open_door(link, pod)
        return msgspec.structs.replace(door, path=f"{door.path}&token={link.credential('token')}")


class CountsFromTheBeginning(NotesAdapter):
    async def usage(self, link, since):
        return await super().usage(link, "")


class EmptyReport(NotesAdapter):
    async def inspect(self, link):
        await super().inspect(link)
        return AgentReport()


ANYTHING = Annotated[
    int, Meta(extra_json_schema={"enum": [2, "\x00 wrong", -1.5, True, ["wrong"], {"wrong": "wrong"}]})
]
LEAKY = (
    File(path="/data/key", parts=(KEY,)),
    File(path="/data/notes.json", parts=("{}",), on_change=OnChange.MERGED),
)


class TestTeeth(Teeth):
    contract = TestNotesAdapter
    broken: ClassVar = {
        "test_contract_is_intact": Broken(changes={"test_image_is_pinned": lambda self: None}),
        "test_no_part_is_hidden": [
            Broken(changes={flag: False})
            for flag in (
                *("is_installed", "has_installed_probe", "upgrades", "merges", "recognises", "repairs", "has_recipe"),
                *("inspects", "counts_usage", "heals", "opens_doors"),
            )
        ],
        "test_name_is_a_slug": adapter_with(title=""),
        "test_is_offered_by_an_installed_plugin": Broken(changes={"offers": (Ping,)}),
        "test_has_examples": Broken(changes={"examples": []}),
        "test_config_type_is_strict": [
            Broken(**config_with(frozen=False)),
            Broken(**config_with(channels=(tuple[Says, ...], ()))),
        ],
        "test_schema_is_valid_and_every_field_has_a_title": [
            Broken(**config_with(workers=(Annotated[int, Meta(title=" ")], 2))),
            Broken(**config_with(workers=(Annotated[int, Meta(extra_json_schema={"deprecated": "since 2"})], 2))),
        ],
        "test_examples_and_defaults_are_valid": Broken(
            **config_with(workers=(Annotated[int, Meta(ge=1, examples=[0])], 2))
        ),
        "test_config_survives_storage": Broken(
            **config_with(lossy=True),
            also=("test_config_survives_a_form",),
            because="a form sends what was stored",
        ),
        "test_config_survives_a_form": Broken(**config_with(note=(str | None, ""))),
        "test_wrong_values_are_refused_with_their_path": Broken(**config_with(workers=(ANYTHING, 2))),
        "test_unknown_fields_are_refused_with_their_path": Broken(
            **config_with(forbid=False),
            also=("test_config_type_is_strict",),
            because="a type that forbids unknown fields refuses them",
        ),
        "test_present_config_needs_no_upgrade": adapter_with(
            upgrade=lambda self, version, raw: NotesAdapter.upgrade(self, version, raw) | {"workers": 3}
        ),
        "test_old_configs_are_lifted": adapter_with(upgrade=lambda self, version, raw: raw),
        "test_workload_is_pure": [Unstable, ReadsFiles],
        "test_workload_names_only_known_secrets": changed(env={"KEY": STRANGER}),
        "test_secrets_stay_references": changed(env={"KEY": f"Bearer {KEY}"}),
        "test_workload_fits_together": [
            changed(route=RouteSpec(port="nowhere")),
            changed(files=LEAKY),
            changed(probe=Probe(probe="ping", timeout=0)),
        ],
        "test_image_is_pinned": [Latest, RegistryPort],
        "test_recipe_builds_the_image_of_the_workload": adapter_with(recipe=lambda self: ImageRecipe(image="other:1")),
        "test_probe_is_named": Broken(
            kind=changed(probe=Probe(probe="The Ping")),
            also=("test_probe_is_installed",),
            because="no probe has a name that cannot be one",
        ),
        "test_probe_is_installed": changed(probe=Probe(probe="no-such-probe")),
        "test_secrets_and_sizes_make_sense": [
            adapter_with(credential="nothing-of-the-kind"),
            adapter_with(request=2**30),
        ],
        "test_permanent_exits_are_explained": changed(permanent_exits=(77,)),
        "test_repairs_are_for_failures_and_give_reasons": adapter_with(
            repair=lambda self, exit_code: Repair(reason="InvalidConfig")
        ),
        "test_recognises_its_own_containers_only": adapter_with(recognise=lambda self, image, command, env: True),
        "test_merging_what_is_there_changes_nothing": adapter_with(merge=lambda self, file, current, wanted: b"mine"),
        "test_merging_twice_is_merging_once": adapter_with(
            merge=lambda self, file, current, wanted: wanted if current == wanted else current + wanted + b"\n"
        ),
        "test_a_report_says_something": EmptyReport,
        "test_usage_is_given_by_days_since": CountsFromTheBeginning,
        "test_healing_can_be_repeated": HealsOnce,
        "test_a_door_is_a_path_without_the_credential": OpensForAll,
        "test_a_sick_agent_is_temporary": [Raises, TrustsTheShape],
    }
