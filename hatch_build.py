"""The build fetches the one piece of JavaScript that others wrote, as the npm package that it is.

Without npm everything works but `fumikura serve` and `fumikura report`, which say so.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: The viewer of pages (BSD-3-Clause, https://openseadragon.github.io).
PACKAGE = "openseadragon@6.1.1"
MEMBER = "package/build/openseadragon/openseadragon.min.js"


class ViewerHook(BuildHookInterface):  # type: ignore[type-arg]
    """This hook puts the viewer among the assets, where it is not there yet."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Fetch the viewer; warn where that cannot be done."""
        target = Path(self.root) / "web" / "assets" / Path(MEMBER).name
        if target.exists():
            return
        if (npm := shutil.which("npm")) is None:
            self.app.display_warning(f"{PACKAGE} is left out: there is no npm; the reading room needs it")
            return
        try:
            _fetch(npm, target)
        except (OSError, subprocess.SubprocessError, KeyError) as error:
            self.app.display_warning(f"{PACKAGE} is left out: {error}; the reading room needs it")


def _fetch(npm: str, target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--silent", "--pack-destination", folder, PACKAGE]
        subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL, cwd=folder)
        [archive] = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as package, tempfile.TemporaryDirectory(dir=target.parent) as beside:
            found = package.extractfile(MEMBER)
            assert found is not None
            unfinished = Path(beside) / target.name
            unfinished.write_bytes(found.read())
            unfinished.replace(target)
