from __future__ import annotations

import json
import os
import re
from pathlib import Path

import jsonschema_rs
import pytest
import pytest_asyncio
import schemathesis

from agentpod_core import catalogue

pytestmark = pytest.mark.asyncio(loop_scope="session")

SNAPSHOT = Path(__file__).parents[3] / "docs" / "reference" / "openapi.json"
PROBLEM = "application/problem+json"


@pytest_asyncio.fixture(loop_scope="session")
async def document(rig):
    """Give the document as a stranger gets it."""
    async with rig.client() as client:
        answer = await client.get("/schema/openapi.json")
    assert answer.headers["content-type"].startswith("application/vnd.oai.openapi+json")
    return answer.json()


@pytest_asyncio.fixture(loop_scope="session")
def operations(document):
    """Give each operation by its id, with method and path."""
    found = [(method, path, one) for path, methods in document["paths"].items() for method, one in methods.items()]
    assert len({one["operationId"] for _, _, one in found}) == len(found) > 40
    return {one["operationId"]: (method, path, one) for method, path, one in found}


async def test_the_api_changes_on_purpose_only(document):
    """The document is the one in docs/reference; AGENTPOD_WRITE_GOLDEN=1 in the environment writes it instead."""
    shown = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("AGENTPOD_WRITE_GOLDEN"):
        SNAPSHOT.write_text(shown)
    assert shown == SNAPSHOT.read_text(), "the API changed; if on purpose, write it anew: AGENTPOD_WRITE_GOLDEN=1"


async def test_the_document_is_valid_openapi(document):
    """The document is OpenAPI 3.1 by that specification's own schema, which sees a mistake."""
    assert document["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(document).validate()
    document["paths"]["/api/v1/pods"]["get"]["responses"]["lots"] = {}
    with pytest.raises(jsonschema_rs.ValidationError):
        schemathesis.openapi.from_dict(document).validate()


async def test_every_reference_of_the_document_leads_somewhere(document):
    """No `$ref` of the document is broken, and no component is there for nothing."""
    named = set(re.findall(r'"\$ref":\s*"#/components/(\w+/\w+)"', json.dumps(document)))
    there = {f"{kind}/{name}" for kind, ones in document["components"].items() for name in ones}
    assert named <= there
    assert {one for one in there - named if not one.startswith("securitySchemes/")} == set()


async def test_every_operation_is_described(document, operations):
    """Each operation has an id in snake_case, a summary, a description and a tag that is explained."""
    tags = {one["name"] for one in document["tags"]}
    for name, (_, _, one) in operations.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
        assert one["summary"], name
        assert one["description"].endswith("."), name
        assert len(one["tags"]) == 1, name
        assert set(one["tags"]) <= tags, name


async def test_every_parameter_is_described(document, operations):
    """Each parameter says what it is, and those of a query never ask for null."""
    for name, (_, _, one) in operations.items():
        for parameter in one["parameters"]:
            where = parameter.get("$ref", "#/components/parameters/").rpartition("/")[2]
            said = document["components"]["parameters"][where] if where else parameter
            assert said["description"], (name, said["name"])
            assert "null" not in json.dumps(said["schema"]), (name, said["name"])


async def test_every_problem_is_documented_by_its_reasons(document, operations):
    """Each status from 400 on is a problem whose description names reasons of the catalogue with that status."""
    for name, (_, _, one) in operations.items():
        refused = {status: said for status, said in one["responses"].items() if status >= "400"}
        assert {"400", "500", "503"} <= refused.keys(), name
        for status, said in refused.items():
            content = document["components"]["responses"][said["$ref"].rpartition("/")[2]]["content"]
            assert content == {PROBLEM: {"schema": {"$ref": "#/components/schemas/ProblemView"}}}
            reasons = re.findall(r"^- `(\w+)`", said["description"], re.MULTILINE)
            assert {catalogue.entry(reason).status for reason in reasons} == {int(status)}, (name, status)


async def test_every_change_demands_the_generation_it_is_made_for(operations):
    """PUT and PATCH, and nothing else, take If-Match and tell of 412 and 428."""
    for name, (method, _, one) in operations.items():
        names = [parameter.get("$ref", "").rpartition("/")[2] for parameter in one["parameters"]]
        assert ("IfMatch" in names) is (method in {"put", "patch"}), name
        assert ({"412", "428"} <= one["responses"].keys()) is (method in {"put", "patch"}), name


async def test_who_may_ask_is_documented(operations):
    """A bearer token opens everything but the login, which is open, and the logout, which ends a session."""
    others = {name: one["security"] for name, (_, _, one) in operations.items() if one["security"] != [{"token": []}]}
    assert others == {"login": [], "logout": [{"session": []}]}


async def test_bodies_refuse_members_that_they_do_not_know(document, operations):
    """Each request body is a schema that closes its object."""
    for name, (_, _, one) in operations.items():
        for content in one.get("requestBody", {}).get("content", {}).values():
            schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
            assert schema["additionalProperties"] is False, name


async def test_streams_are_described_in_words(document, operations):
    """The event stream is a media type of its operation, and the WebSocket is told of at its tag."""
    _, _, events = operations["list_events"]
    assert events["responses"]["200"]["content"].keys() == {"application/json", "text/event-stream"}
    (told,) = [tag["description"] for tag in document["tags"] if tag["name"] == "Events"]
    assert "/api/v1/ws" in told
    assert "4401" in told
