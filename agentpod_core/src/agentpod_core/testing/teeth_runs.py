"""Runs many test classes at once in a pytest of its own within this process, and notes how each test ended."""

from __future__ import annotations

import gc
import itertools
import os
import sys
from collections.abc import Generator, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

_OPTIONS = (
    "--disable-plugin-autoload",
    "-ppytest_asyncio.plugin",
    "-pno:cacheprovider",
    "-pno:faulthandler",
    "-pno:logging",
    "-pno:unraisableexception",
    "-pno:threadexception",
    "-oasyncio_mode=auto",
    "-oasyncio_default_fixture_loop_scope=function",
    "--import-mode=importlib",
    "--capture=no",
    "--tb=native",
    "-qq",
)
_MODULE = """
from agentpod_core.testing import teeth_runs

globals().update(teeth_runs.presented)
"""

_runs = itertools.count()

presented: dict[str, type] = {}
"""The classes of the run that is being made, by the names under which pytest finds them."""


class Outcome(IntEnum):
    """How a test ended; of several cases the worst counts."""

    PASSED = 0
    SKIPPED = 1
    FAILED = 2
    ERROR = 3


class Ended(Struct, frozen=True, kw_only=True):
    """How a test ended, what it said, and the kind of what was raised."""

    outcome: Outcome
    text: str = ""
    error: type[BaseException] | None = None


Result = Mapping[str, Ended]
"""How each test of one class ended, by its name."""


class Run(Struct, frozen=True, kw_only=True):
    """A test class to be run: ``only`` some of its tests, or all."""

    kind: type
    only: frozenset[str] | None = None


def run_together(runs: Mapping[str, Run], folder: Path) -> dict[str, Result]:
    """Make all these runs and give their results, by the runs' keys."""
    # A name of its own for each run: pytest keeps modules by their names.
    module = folder / f"test_presented_{next(_runs)}.py"
    module.write_text(_MODULE)
    names = {f"Test{number}": key for number, key in enumerate(runs)}
    recorder = _Recorder({name: runs[key] for name, key in names.items()})
    presented.update({name: runs[key].kind for name, key in names.items()})
    hook, sys.unraisablehook = sys.unraisablehook, _ignore
    try:
        code = pytest.main([*_OPTIONS, f"-c{os.devnull}", f"--rootdir={folder}", str(module)], plugins=[recorder])
        gc.collect()
    finally:
        sys.unraisablehook = hook
        presented.clear()
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        pytest.fail(f"the run itself failed: {code!r}: {recorder.broken}")
    return {key: recorder.ended.get(name, {}) for name, key in names.items()}


class _Recorder:
    """Notes how each test ended."""

    def __init__(self, runs: dict[str, Run]) -> None:
        self._runs = runs
        self.ended: dict[str, dict[str, Ended]] = {}
        self.broken: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken.append(str(report.longrepr))

    def pytest_collection_modifyitems(self, items: list[pytest.Function]) -> None:
        items[:] = [item for item in items if self._is_wanted(item)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Function, call: pytest.CallInfo[Any]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        tests = self.ended.setdefault(_class_of(item), {})
        before = tests.get(item.originalname)
        now = _ended(report, call)
        if before is None or now.outcome > before.outcome:
            tests[item.originalname] = now
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self) -> tuple[str, str, str]:
        """Keep the run quiet: what failed was meant to."""
        return "", "", ""

    def _is_wanted(self, item: pytest.Function) -> bool:
        only = self._runs[_class_of(item)].only
        return only is None or item.originalname in only


def _class_of(item: pytest.Function) -> str:
    parent = item.parent
    return parent.name if parent is not None else ""


def _ignore(_: object) -> None:
    """Pass over what broken implementations leave lying about: it is no other test's fault."""


def _ended(report: pytest.TestReport, call: pytest.CallInfo[Any]) -> Ended:
    if report.passed or call.excinfo is None:
        return Ended(outcome=Outcome.PASSED)
    error = call.excinfo.value
    if report.skipped:
        return Ended(outcome=Outcome.SKIPPED, text=str(error), error=type(error))
    outcome = Outcome.FAILED if report.when == "call" else Outcome.ERROR
    return Ended(outcome=outcome, text=f"{type(error).__name__}: {error}", error=type(error))
