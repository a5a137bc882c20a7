"""Files reach a container by archive too, and by the host's files without following what an agent made."""

from __future__ import annotations

import os
import stat
import uuid

import pytest

from agentpod_core import PermanentError
from agentpod_core.testing import RuntimeContract, Stage
from agentpod_docker import direct
from agentpod_docker.engine import maps_users

FACTS = (
    "test_files_are_in_place_before_the_start",
    "test_the_agent_owns_its_volumes",
    "test_seeds_are_written_once",
    "test_files_outside_volumes_are_refused",
    "test_files_are_read",
)


@pytest.mark.docker
@pytest.mark.parametrize("fact", FACTS)
async def test_archives_do_as_well(fact, docker_runtime, docker_instance, docker_image, docker_subnet):
    """Where the host's files are out of reach, archives pass the same facts of the contract."""
    docker_runtime._engine.shares_files = False
    stage = Stage(
        runtime=docker_runtime,
        instance=docker_instance,
        image=docker_image,
        subnet=docker_subnet,
        pod_id=str(uuid.uuid4()),
    )
    await getattr(RuntimeContract(), fact)(stage)


def test_mapped_users_keep_us_from_the_hosts_files():
    """With mapped users or a rootless engine an owner on the host would be another one in the container."""
    assert maps_users({"SecurityOptions": ["name=seccomp,profile=default", "name=userns"]})
    assert maps_users({"SecurityOptions": ["name=rootless"]})
    assert not maps_users({"SecurityOptions": ["name=seccomp,profile=default"]})


def test_a_link_to_a_directory_is_replaced(tmp_path):
    """A link where a directory should be is replaced; what it leads to stays as it was."""
    outside = tmp_path / "outside"
    outside.mkdir()
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "dir").symlink_to(outside)
    _write(volume, "dir/file")
    assert list(outside.iterdir()) == []
    assert (volume / "dir" / "file").read_bytes() == b"new"
    assert not (volume / "dir").is_symlink()


def test_a_link_to_a_file_is_replaced(tmp_path):
    """A link where a file should be is replaced; what it leads to stays as it was."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"old")
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "file").symlink_to(victim)
    _write(volume, "file")
    assert victim.read_bytes() == b"old"
    assert (volume / "file").read_bytes() == b"new"


def test_a_seed_does_not_replace_even_a_dangling_link(tmp_path):
    """Whatever stands where a seed should be, the agent's own it is."""
    (tmp_path / "file").symlink_to(tmp_path / "nothing")
    _write(tmp_path, "file", is_seed=True)
    assert (tmp_path / "file").is_symlink()


def test_a_directory_in_the_way_is_named(tmp_path):
    """A directory where a file should be is an error by name, and leaves nothing behind."""
    (tmp_path / "file").mkdir()
    with pytest.raises(PermanentError) as caught:
        _write(tmp_path, "file")
    assert (caught.value.reason, caught.value.params) == ("NotAFile", {"path": "file"})
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_owner_and_modes_are_as_asked(tmp_path):
    """Files and new directories get owner and mode; directories that exist keep theirs."""
    (tmp_path / "there").mkdir(mode=0o711)
    (tmp_path / "there").chmod(0o711)
    _write(tmp_path, "there/new/file")
    modes = [stat.S_IMODE((tmp_path / path).stat().st_mode) for path in ("there", "there/new", "there/new/file")]
    assert modes == [0o711, 0o700, 0o640]


def _write(folder, path, *, is_seed=False):
    file = direct.Content(path=path, content=b"new", mode=0o640, is_seed=is_seed)
    direct.write(str(folder), [file], os.getuid(), os.getgid())
