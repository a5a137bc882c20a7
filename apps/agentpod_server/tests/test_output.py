"""Secrets that the platform knows are in none of its own output."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import traceback
from collections.abc import Callable, Iterator

import pytest

from agentpod_core.host import Redactor
from agentpod_server import output

SECRET = "sk-never-shown"


@contextlib.contextmanager
def cleaned(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Keep stdout and stderr clean of the secret; gives the way to read what arrived."""
    streams = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    redactor = Redactor()
    redactor.learn(SECRET)
    output.keep_clean(redactor)

    def read() -> str:
        found = ""
        for stream in streams:
            stream.flush()
            found += stream.buffer.getvalue().decode()
        return found

    yield read
    monkeypatch.undo()


def test_whatever_way_it_is_written_no_secret_arrives(monkeypatch) -> None:
    """Prints, logs, tracebacks, lists of lines and bytes are cleaned, and nothing else of them is lost."""
    with cleaned(monkeypatch) as written:
        print("printed", SECRET, {"key": SECRET})  # noqa: T201 - that is the point
        handler = logging.StreamHandler(sys.stderr)
        logger = logging.getLogger("test_output")
        logger.addHandler(handler)
        try:
            raise ValueError(SECRET)  # noqa: TRY301 - that is the point
        except ValueError:
            logger.exception("logged %s", SECRET)
            traceback.print_exc()
        finally:
            logger.removeHandler(handler)
        sys.stdout.writelines(["line ", SECRET, "\n"])
        sys.stdout.buffer.write(f"bytes {SECRET}".encode())
        text = written()
    assert SECRET not in text
    for part in ("printed *** {'key': '***'}", "logged ***", "ValueError: ***", "line ***", "bytes ***"):
        assert part in text


def test_streams_stay_streams(monkeypatch) -> None:
    """Who asks a stream for its encoding, its descriptor or whether it is a terminal gets an answer."""
    with cleaned(monkeypatch):
        assert sys.stdout.encoding.lower() == "utf-8"
        assert not sys.stdout.isatty()
        sys.stdout.flush()
        assert sys.stderr.write("text") == 4
