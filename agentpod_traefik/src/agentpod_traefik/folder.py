"""The folder that Traefik watches: files appear, change and go in one step each, and only ours are touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

Ours = Callable[[str], bool]


class WatchedFolder:
    """Files in a folder that somebody else reads at any moment.

    A file is written next door, in ``staging`` on the same file system, and renamed into place:
    a reader sees the old text or the new one. Traefik rejects *all* files when one of them does
    not parse, so a half-written one would hold up every route.
    """

    def __init__(self, folder: Path, staging: Path) -> None:
        self._folder = folder
        self._staging = staging

    def prepare(self) -> None:
        """Make both folders; what is watched may be read by everybody, for it holds no secrets."""
        self._folder.mkdir(exist_ok=True)
        self._folder.chmod(0o755)
        self._staging.mkdir(exist_ok=True)
        self._staging.chmod(0o700)
        for leftover in self._staging.iterdir():
            leftover.unlink(missing_ok=True)

    def texts(self, is_ours: Ours) -> dict[str, str]:
        """Read every file of ours, by name; a byte that is no text reads as a replacement character."""
        found: dict[str, str] = {}
        for path in sorted(self._folder.iterdir()):
            if is_ours(path.name):
                try:
                    found[path.name] = path.read_text(encoding="utf-8", errors="replace")
                except FileNotFoundError:
                    continue
        return found

    def write(self, name: str, text: str) -> bool:
        """Put one file in place; False when it already reads so."""
        path = self._folder / name
        try:
            if path.read_bytes() == text.encode():
                return False
        except FileNotFoundError:
            pass
        unfinished = self._staging / name
        unfinished.write_text(text, encoding="utf-8")
        unfinished.chmod(0o644)
        unfinished.replace(path)
        return True

    def replace(self, texts: Mapping[str, str], is_ours: Ours) -> tuple[list[str], list[str]]:
        """Make exactly these files ours; give the names written and the names removed.

        New and changed ones come first: a host that moves from one file to another is served
        throughout.
        """
        before = self.texts(is_ours)
        written = [name for name, text in texts.items() if before.get(name) != text and self.write(name, text)]
        removed = [name for name in before if name not in texts]
        for name in removed:
            (self._folder / name).unlink(missing_ok=True)
        return written, removed
