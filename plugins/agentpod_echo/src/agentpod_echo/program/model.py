"""The scripted model: OpenAI's chat-completions dialect with an answer that is always the same.

Tokens are words. Tools are accepted and never called.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from .server import Request, Response, answer
from .settings import Settings

Account = Callable[[str, int, int], None]


class Model:
    """Answers ``/v1/models`` and ``/v1/chat/completions``; ``account`` is told the tokens of each answer."""

    def __init__(self, settings: Settings, account: Account) -> None:
        self._settings, self._account, self._served = settings, account, 0

    def models(self) -> Response:
        """List the one model."""
        model = {"id": self._settings.model, "object": "model", "created": 0, "owned_by": "agentpod-echo"}
        return answer({"object": "list", "data": [model]})

    def complete(self, request: Request) -> Response:
        """Answer one chat turn, whole or as a stream."""
        try:
            body = request.json()
        except ValueError as error:
            return fault(400, "invalid_request_error", f"the body is no JSON object: {error}")
        messages = body.get("messages")
        if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages) or not messages:
            return fault(400, "invalid_request_error", "messages must be a list of objects, not empty")
        said = next((_text(one) for one in reversed(messages) if one.get("role") == "user"), "")
        text = self._line(said)
        usage = _usage(sum(len(_text(one).split()) for one in messages), len(text.split()))
        self._account(time.strftime("%Y-%m-%d", time.gmtime()), usage["prompt_tokens"], usage["completion_tokens"])
        self._served += 1
        facts = {
            "id": f"chatcmpl-echo-{self._served}",
            "created": int(time.time()),
            "model": str(body.get("model") or self._settings.model),
        }
        if not body.get("stream"):
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return answer({**facts, "object": "chat.completion", "choices": [choice], "usage": usage})
        options = body.get("stream_options")
        # Clients differ in whether they ask for the usage chunk; only an explicit no leaves it out.
        wanted = not (isinstance(options, dict) and options.get("include_usage") is False)
        return Response(body=_stream(facts, text, usage if wanted else None), type="text/event-stream")

    def _line(self, said: str) -> str:
        reply = next((reply for when, reply in self._settings.script if when in said), self._settings.reply)
        return reply.replace("{message}", said)


def fault(status: int, kind: str, message: str) -> Response:
    """Refuse in the dialect's own shape."""
    return answer({"error": {"message": message, "type": kind, "param": None, "code": None}}, status)


async def _stream(facts: dict[str, Any], text: str, usage: dict[str, int] | None) -> AsyncIterator[bytes]:
    def chunk(choices: list[dict[str, Any]], **more: Any) -> bytes:
        event = {**facts, "object": "chat.completion.chunk", "choices": choices, **more}
        return b"data: " + json.dumps(event).encode() + b"\n\n"

    def choice(delta: dict[str, str], finish: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "finish_reason": finish}]

    yield chunk(choice({"role": "assistant", "content": ""}))
    for word in _words(text):
        yield chunk(choice({"content": word}))
    yield chunk(choice({}, "stop"))
    if usage is not None:
        yield chunk([], usage=usage)
    yield b"data: [DONE]\n\n"


def _words(text: str) -> list[str]:
    """Cut after every space, so that the pieces joined are the text again."""
    return [word for word in text.replace(" ", " \0").split("\0") if word]


def _usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _text(message: dict[str, Any]) -> str:
    """Read a message's text: a string, or the text parts of a list."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part.get("text") or "") for part in parts if isinstance(part, dict) and "text" in part)
