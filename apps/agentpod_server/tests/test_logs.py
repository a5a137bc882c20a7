"""Every line says in the course of what it was written, as text and as JSON, and no secret is in it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import Callable

import pytest

from agentpod_core.host import Redactor
from agentpod_server import logs, output

SECRET = 'sk-"never"\\shown'


@pytest.fixture
def begun(monkeypatch) -> Callable[[str], Callable[[], str]]:
    """Begin to log in a form, to a stream that is kept clean; gives the way to read it."""
    root = logging.getLogger()
    before = root.handlers, root.level
    levels = {name: logging.getLogger(name).level for name in logs.NOISY}

    def begin(form: str) -> Callable[[], str]:
        stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        monkeypatch.setattr(sys, "stderr", stream)
        redactor = Redactor()
        redactor.learn(SECRET)
        output.keep_clean(redactor)
        root.handlers = []
        logs.begin("info", form)

        def read() -> str:
            stream.flush()
            return stream.buffer.getvalue().decode()

        return read

    yield begin
    root.handlers, root.level = before
    logging.captureWarnings(capture=False)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_a_line_of_text_ends_with_its_facts(begun) -> None:
    """What a line is part of stands behind its message, also that of a block within the block, and then no more."""
    read = begun("text")
    log = logging.getLogger("some.where")
    with logs.telling({"reconcile": "pod:1#3.7"}):
        with logs.telling({"action": "Start It"}):
            log.info("inside")
        log.info("between")
    log.info("outside")
    assert [line.partition("INFO ")[2] for line in read().splitlines()] == [
        'some.where: inside reconcile=pod:1#3.7 action="Start It"',
        "some.where: between reconcile=pod:1#3.7",
        "some.where: outside",
    ]


def test_a_line_of_json_is_one_object(begun) -> None:
    """Time, level, logger, message, facts and a traceback of many lines stand in one line."""
    read = begun("json")
    with logs.telling({"request": "abcdefgh"}):
        try:
            raise LookupError("what")  # noqa: TRY301 - that is the point
        except LookupError:
            logging.getLogger("some").exception("it %s", "broke\nhere")
    (line,) = read().splitlines()
    found = json.loads(line)
    assert {name: found[name] for name in ("level", "logger", "message", "request")} == {
        "level": "error",
        "logger": "some",
        "message": "it broke\nhere",
        "request": "abcdefgh",
    }
    assert found["time"].endswith("Z")
    assert "LookupError: what" in found["error"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_in_a_line(begun, form) -> None:
    """A secret is masked wherever it comes from, also where JSON writes its quotes and backslashes otherwise."""
    read = begun(form)
    with logs.telling({"request": SECRET}):
        try:
            raise ValueError(SECRET)  # noqa: TRY301 - that is the point
        except ValueError:
            logging.getLogger("some").exception("with %s", SECRET)
    text = read()
    assert "never" not in text
    assert text.count("***") >= 3
    if form == "json":
        assert json.loads(text)["request"] == "***"


async def test_tasks_do_not_share_facts(begun) -> None:
    """What runs at the same time has facts of its own."""
    read = begun("text")

    async def work(name: str) -> None:
        with logs.telling({"request": name}):
            await asyncio.sleep(0)
            logging.getLogger("some").info("%s", name)

    await asyncio.gather(work("one"), work("two"))
    assert sorted(line.partition("some: ")[2] for line in read().splitlines()) == [
        "one request=one",
        "two request=two",
    ]


def test_warnings_of_python_and_libraries_are_lines_too(begun) -> None:
    """A library's own logger ends in the same stream, below a warning only where it is worth reading."""
    read = begun("json")
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.error").warning("that is amiss")
    assert [json.loads(line)["message"] for line in read().splitlines()] == ["that is amiss"]
