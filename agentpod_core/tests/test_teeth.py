"""What proves that contracts can fail can fail itself."""

from __future__ import annotations

import pytest

from agentpod_core.errors import PermanentError
from agentpod_core.testing import MemorySecretStore, SecretStoreContract
from agentpod_core.testing.teeth import Broken, Teeth
from agentpod_core.testing.teeth_runs import run_together

FACT = "test_a_store_shows_no_value"


class Contract(SecretStoreContract):
    """The contract with a store; its name keeps it from being collected."""

    kind = MemorySecretStore
    is_installed = False

    @pytest.fixture
    def secret_store(self):
        return self.kind()

    @pytest.fixture
    def tenant(self):
        return "t1"

    @pytest.fixture
    def other_tenant(self):
        return "t2"


class Deaf(MemorySecretStore):
    """It breaks every test that stores something."""

    async def put(self, tenant, key, value):
        raise PermanentError("StoreRefused")


class Mistaken(MemorySecretStore):
    """It is not broken, it is wrongly written."""

    def __repr__(self):
        return self.kept


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (MemorySecretStore, "is not broken"),
        (Deaf, "breaks more than that"),
        (Mistaken, "is a mistake"),
        (Broken(kind=Deaf, also=("test_what_was_put_is_given",)), "gives no reason"),
        (Broken(changes={"secret_store": None}), "is in the way of the test"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_broken_that_way_is_found(given, what, tmp_path):
    """An entry that shows nothing about its fact is refused."""
    teeth = type("Given", (Teeth,), {"contract": Contract, "broken": {FACT: given}})()
    results = run_together(teeth.runs(), tmp_path)
    with pytest.raises(AssertionError):
        teeth.test_exactly_that_fact_fails(results, FACT)


def test_a_fact_without_a_broken_implementation_is_found():
    """A new test in a contract needs an implementation that fails it."""
    teeth = type("Given", (Teeth,), {"contract": Contract, "broken": {FACT: Deaf}})()
    with pytest.raises(AssertionError, match="test_a_reference_names_its_store"):
        teeth.test_every_fact_has_a_broken_implementation()


def test_a_contract_that_fails_as_a_whole_is_found(tmp_path):
    """Broken implementations are made from one that passes."""
    deaf = type("Contract", (Contract,), {"__module__": __name__, "kind": Deaf})
    teeth = type("Given", (Teeth,), {"contract": deaf, "broken": {}})()
    with pytest.raises(AssertionError):
        teeth.test_the_whole_one_passes(run_together(teeth.runs(), tmp_path))
