"""The scripted model, in the dialect that its clients speak."""

from __future__ import annotations

import json
import time

import pytest

from agentpod_core import SecretRef
from agentpod_echo import EchoConfig, Line

CHAT = "/v1/chat/completions"
HELLO = {"model": "any", "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi you"}]}


async def events(response):
    """Read a stream's events; the last must be the mark of its end."""
    lines = [line.removeprefix("data: ") async for line in response.aiter_lines() if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


async def test_it_answers_what_the_user_said_last(echo):
    """A whole answer has the message, the model that was asked for, and usage counted in words."""
    reply = (await echo.client.post(CHAT, json=HELLO)).json()
    assert reply["object"] == "chat.completion"
    assert reply["model"] == "any"
    assert reply["choices"][0]["message"] == {"role": "assistant", "content": "You said: hi you"}
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert reply["usage"] == {"prompt_tokens": 4, "completion_tokens": 4, "total_tokens": 8}


async def test_a_stream_is_the_same_answer_in_pieces(echo):
    """The deltas joined are the answer; finish and usage chunks follow."""
    async with echo.client.stream("POST", CHAT, json={**HELLO, "stream": True}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        chunks = await events(response)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])
    assert text == "You said: hi you"
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 8


async def test_a_client_may_decline_the_usage_chunk(echo):
    """An explicit no leaves the usage chunk out."""
    body = {**HELLO, "stream": True, "stream_options": {"include_usage": False}}
    async with echo.client.stream("POST", CHAT, json=body) as response:
        assert all(chunk["choices"] for chunk in await events(response))


async def test_the_script_decides_before_the_general_answer(start):
    """The first line whose text occurs answers; otherwise the general answer does."""
    script = (Line(when="price", reply="42 a month"), Line(when="pri", reply="prior"))
    one = await start(EchoConfig(script=script, reply="ok"))
    said = {}
    for text in ("the price?", "priority", "else"):
        body = {"messages": [{"role": "user", "content": text}]}
        said[text] = (await one.client.post(CHAT, json=body)).json()["choices"][0]["message"]["content"]
    assert said == {"the price?": "42 a month", "priority": "prior", "else": "ok"}


async def test_a_large_request_with_tools_and_parts_is_understood(echo):
    """Sixty kilobytes of system prompt and tools, and content in parts, are ordinary."""
    parameters = {"type": "object", "properties": {"path": {"type": "string", "description": "x" * 4000}}}
    tools = [{"type": "function", "function": {"name": f"tool_{n}", "parameters": parameters}} for n in range(12)]
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    messages = [{"role": "system", "content": "s " * 6000}, {"role": "user", "content": parts}]
    body = {"model": "m", "messages": messages, "tools": tools, "tool_choice": "auto", "max_completion_tokens": 9}
    assert len(json.dumps(body)) > 60_000
    reply = await echo.client.post(CHAT, json=body, headers={"authorization": "Bearer any-key"})
    assert reply.json()["choices"][0]["message"]["content"] == "You said: look"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages": []}', b'{"messages": ["x"]}', b'{"messages": 1}'])
async def test_a_bad_request_is_refused_in_the_dialect(echo, body):
    """Clients of the dialect read ``error.message``."""
    reply = await echo.client.post(CHAT, content=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["message"]


async def test_it_lists_its_model(echo):
    """The list has the one model, under its configured name."""
    listed = (await echo.client.get("/v1/models")).json()
    assert [model["id"] for model in listed["data"]] == ["scripted-1"]
    assert (await echo.client.get("/v1/embeddings")).status_code == 404


async def test_a_configured_key_is_demanded(start):
    """With an API key in the config, another key gets 401 and the right one an answer."""
    one = await start(EchoConfig(api_key=SecretRef(key="api_key")))
    wrong = await one.client.post(CHAT, json=HELLO, headers={"authorization": "Bearer wrong"})
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (401, "invalid_api_key")
    right = await one.client.post(CHAT, json=HELLO, headers={"authorization": "Bearer a-key-of-the-tests"})
    assert right.status_code == 200


async def test_usage_is_kept_by_day_and_outlives_the_process(start):
    """Words in and out are added up for each day, in the data volume."""
    first = await start()
    days = {time.strftime("%Y-%m-%d", time.gmtime())}
    await first.client.post(CHAT, json=HELLO)
    first.process.kill()
    await first.process.wait()
    second = await start()
    await second.client.post(CHAT, json={**HELLO, "stream": True})
    days.add(time.strftime("%Y-%m-%d", time.gmtime()))
    rows = (await second.client.get("/usage", headers=second.bearer)).json()["items"]
    assert {row["day"] for row in rows} <= days
    totals = [sum(row[name] for row in rows) for name in ("requests", "input_tokens", "output_tokens")]
    assert totals == [2, 8, 8]
