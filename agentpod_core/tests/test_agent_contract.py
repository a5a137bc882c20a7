"""The agent contract: a good adapter passes it, and each test has a broken adapter that it finds."""

from __future__ import annotations

import random
from typing import Annotated, ClassVar

import msgspec
import pytest
from msgspec import Meta, Struct

from agentpod_core import (
    SECRETS_PATH,
    AgentAdapter,
    File,
    ImageRecipe,
    OnChange,
    Port,
    Probe,
    Repair,
    Resources,
    RouteSpec,
    SecretRef,
    Volume,
    Workload,
)
from agentpod_core.errors import NotFoundError
from agentpod_core.testing import AgentAdapterContract, sample_pod

KEY = SecretRef(key="notes")
STRANGER = SecretRef(key="somebody-elses")


class Channel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    token: SecretRef


class NotesConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator fills in to run Notes."""

    model: Annotated[str, Meta(title="Model", examples=["sonnet"])]
    api_key: Annotated[SecretRef, Meta(title="API key")]
    workers: Annotated[int, Meta(ge=1, le=16)] = 2
    channels: tuple[Channel, ...] = ()


class NotesAdapter(AgentAdapter[NotesConfig]):
    name: ClassVar[str] = "notes"
    title: ClassVar[str] = "Notes"
    config_type: ClassVar[type[Struct]] = NotesConfig
    generated_secrets: ClassVar[tuple[str, ...]] = ("token",)
    credential: ClassVar[str | None] = "token"
    sizes: ClassVar[dict[str, Resources]] = {"default": Resources(memory=2**28)}
    request: ClassVar[int] = 2**27

    def workload(self, config, pod, package):
        files = [
            File(path=f"{SECRETS_PATH}/key", parts=(config.api_key,)),
            File(path=f"{SECRETS_PATH}/token", parts=(pod.secrets["token"],)),
            File(path="/data/notes.json", parts=("{}",), on_change=OnChange.MERGED),
        ]
        return Workload(
            image="example/notes:1.4",
            env={"MODEL": config.model, "WORKERS": str(config.workers)},
            files=tuple(files),
            ports=(Port(name="http", number=8080),),
            volumes=(Volume(name="data", path="/data"),),
            probe=Probe(probe="http", settings={"path": "/"}),
            route=RouteSpec(port="http"),
            permanent_exits=(78,),
        )

    def merge(self, file, current, wanted):
        return wanted if wanted in current else current + wanted

    def repair(self, exit_code):
        return Repair(reason="InvalidConfig") if exit_code == 78 else None

    def recipe(self):
        return ImageRecipe(image="example/notes:1.4")


CONFIGS = [
    NotesConfig(model="sonnet", api_key=KEY),
    NotesConfig(model="opus", api_key=KEY, workers=5, channels=(Channel(name="a, b", token=SecretRef(key="c")),)),
]


class TestNotesAdapter(AgentAdapterContract):
    is_installed = False
    has_installed_probe = False

    @pytest.fixture
    def adapter(self):
        return NotesAdapter()

    @pytest.fixture
    def configs(self):
        return CONFIGS


def changed(**changes):
    """An adapter whose workload differs in these fields."""

    class Changed(NotesAdapter):
        def workload(self, config, pod, package):
            return msgspec.structs.replace(super().workload(config, pod, package), **changes)

    return Changed()


class LooseConfig(Struct, frozen=True, kw_only=True):
    model: str = ""
    api_key: SecretRef = KEY


class BadExample(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    workers: Annotated[int, Meta(ge=1, examples=[0])] = 2


def adapter_with(**attributes):
    """Give a good adapter with something of it replaced."""
    return type("Broken", (NotesAdapter,), attributes)()


def unstable(self, config, pod, package):
    """Render something else each time."""
    return Workload(image=f"example/notes:{random.random()}")


BROKEN = {
    "test_name_is_a_slug": adapter_with(name="Not A Slug"),
    "test_is_offered_by_an_installed_plugin": NotesAdapter(),
    "test_config_type_is_strict": adapter_with(config_type=LooseConfig),
    "test_examples_and_defaults_are_valid": adapter_with(config_type=BadExample),
    "test_present_config_needs_no_upgrade": adapter_with(upgrade=lambda self, version, raw: raw | {"more": 1}),
    "test_workload_is_pure": adapter_with(workload=unstable),
    "test_workload_names_only_known_secrets": changed(env={"KEY": STRANGER}),
    "test_workload_fits_together": changed(route=RouteSpec(port="nowhere")),
    "test_image_is_pinned": changed(image="example/notes:latest"),
    "test_recipe_builds_the_image_of_the_workload": adapter_with(recipe=lambda self: ImageRecipe(image="other:1")),
    "test_probe_is_named_and_bounded": changed(probe=Probe(probe="http", timeout=0)),
    "test_secrets_and_sizes_make_sense": adapter_with(credential="nothing-of-the-kind"),
    "test_permanent_exits_are_explained": changed(permanent_exits=(77,)),
    "test_merging_what_is_there_changes_nothing": adapter_with(merge=lambda self, file, current, wanted: b"mine"),
}


class Contract(AgentAdapterContract):
    """The contract as an installed adapter's tests run it; its name keeps it from being collected."""


def arguments(name, adapter, monkeypatch, configs=CONFIGS):
    """Give what a test of the contract asks for."""
    code = getattr(Contract, name).__code__
    pod = sample_pod(adapter)
    known = {
        "self": Contract(),
        "adapter": adapter,
        "configs": configs,
        "pod": pod,
        "package": None,
        "monkeypatch": monkeypatch,
    }
    wanted = code.co_varnames[: code.co_argcount]
    if "workloads" in wanted:
        known["workloads"] = [adapter.workload(config, pod, None) for config in configs]
    return {one: known[one] for one in wanted}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_contract_has_teeth(name, monkeypatch):
    """A broken adapter fails the test that is about what is broken."""
    with pytest.raises((AssertionError, NotFoundError)):
        getattr(Contract, name)(**arguments(name, BROKEN[name], monkeypatch))


def test_contract_finds_an_unpinned_registry_port(monkeypatch):
    """The port of a registry is not taken for a tag."""
    arguments_ = arguments("test_image_is_pinned", changed(image="registry.example:5000/notes"), monkeypatch)
    with pytest.raises(AssertionError):
        Contract.test_image_is_pinned(**arguments_)


def test_contract_finds_a_secret_file_in_a_data_volume(monkeypatch):
    """A secret may not be written where backups read."""
    leaky = changed(files=(File(path="/data/key", parts=(KEY,)),))
    with pytest.raises(AssertionError):
        Contract.test_workload_fits_together(**arguments("test_workload_fits_together", leaky, monkeypatch))


def test_contract_finds_a_probe_that_nobody_offers(monkeypatch):
    """A pod whose probe does not exist would never be ready."""
    lost = changed(probe=Probe(probe="no-such-probe"))
    with pytest.raises(AssertionError):
        Contract.test_probe_is_named_and_bounded(**arguments("test_probe_is_named_and_bounded", lost, monkeypatch))


def test_contract_finds_what_a_field_does_not_refuse(monkeypatch):
    """A field of a declared kind that takes anything is found."""
    name = "test_wrong_values_are_refused_with_their_path"
    loose = adapter_with(config_type=LooseMap)
    with pytest.raises(AssertionError):
        getattr(Contract, name)(self=Contract(), adapter=loose, configs=[LooseMap()])


class LooseMap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    switch: Annotated[
        bool, Meta(extra_json_schema={"enum": [True, "\x00 wrong", -1.5, ["wrong"], {"wrong": "wrong"}]})
    ] = True


@pytest.mark.parametrize("name", ["test_config_survives_storage", "test_config_survives_a_form"])
def test_contract_finds_a_config_that_cannot_come_back(name):
    """A config of which something is lost on the way is found."""

    class Lossy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """Two equal spellings in JSON of values that differ."""

        when: float = 0.0

        def __eq__(self, other):
            return self is other

        __hash__ = None

    with pytest.raises(AssertionError):
        getattr(Contract, name)(Contract(), adapter_with(config_type=Lossy), [Lossy(when=1.0)])


def test_contract_asks_for_configs():
    """Nothing to try is no pass."""
    with pytest.raises(AssertionError):
        Contract().test_has_examples([])


@pytest.mark.parametrize("fixture", ["adapter", "configs"])
def test_forgotten_fixture_is_a_failure(fixture):
    """A fixture that was not defined fails by name instead of skipping everything."""
    function = getattr(AgentAdapterContract, fixture)
    with pytest.raises(pytest.fail.Exception, match=fixture):
        function.__wrapped__(Contract()) if hasattr(function, "__wrapped__") else function._fixture_function(Contract())


def test_replaced_test_is_found():
    """A contract test that was overridden, or set to nothing, does not go unnoticed."""

    class Replaced(AgentAdapterContract):
        def test_image_is_pinned(self, workloads):
            pass

    class Removed(AgentAdapterContract):
        test_workload_is_pure = None

    for cheat in (Replaced, Removed):
        with pytest.raises(pytest.fail.Exception, match="replaced tests"):
            cheat().test_contract_is_intact()


def test_excused_and_added_tests_are_fine():
    """An override that is marked with a reason stays visible, and more tests are welcome."""

    class Excused(AgentAdapterContract):
        @pytest.mark.xfail(reason="the vendor publishes no tags")
        def test_image_is_pinned(self, workloads):
            super().test_image_is_pinned(workloads)

        def test_something_else(self):
            pass

    Excused().test_contract_is_intact()
