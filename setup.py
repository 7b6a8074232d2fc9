"""The wheel: `pipeline/` and `stages/` become parts of the package `dars`, as others have packages of these names too.

In a clone they are top-level packages. A build moves them and rewrites their absolute imports, line by line, and nothing else; an
editable install leaves all where it is. What else there is to say of the package, pyproject.toml says.
"""

import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.egg_info import egg_info

PARTS = ("pipeline", "stages")
_IMPORTS = re.compile(rf"^( *)(from ({'|'.join(PARTS)})[. ]|import ({'|'.join(PARTS)})$)", re.MULTILINE)


class BuildPy(build_py):  # type: ignore[misc]  # setuptools has no types
    """Build the package from the clone."""

    def run(self) -> None:
        """Copy the modules, then move and rewrite them; what an earlier build left goes first."""
        built = Path(self.build_lib)
        for name in ("dars", *PARTS):
            if not self.editable_mode:
                shutil.rmtree(built / name, ignore_errors=True)
        super().run()
        if self.editable_mode:
            return
        for name in PARTS:
            (built / name).rename(built / "dars" / name)
        for file in built.rglob("*.py"):
            file.write_text(_IMPORTS.sub(_inside, file.read_text(encoding="utf-8")), encoding="utf-8")
        # The one place with values, for commands outside of a workspace.
        shutil.copyfile("params.yaml", built / "dars/params.yaml")


class EggInfo(egg_info):  # type: ignore[misc]  # likewise
    """Describe the package."""

    def run(self) -> None:
        """Name the one package that a wheel has, not those of the clone."""
        super().run()
        Path(self.egg_info, "top_level.txt").write_text("dars\n", encoding="utf-8")


def _inside(found: re.Match[str]) -> str:
    if found[4]:
        return f"{found[1]}from dars import {found[4]}"
    return found[0].replace("from ", "from dars.", 1)


setup(cmdclass={"build_py": BuildPy, "egg_info": EggInfo})
