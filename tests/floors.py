"""Write the floors of pyproject.toml as pip's constraints, for an environment that holds them all.

As a program: python -m tests.floors > constraints.txt
"""

from __future__ import annotations

import tomllib
from itertools import chain
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def requirements(*extras: str) -> list[str]:
    """Give the lines of the dependencies, and of some extras or all, as pyproject.toml has them."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    lines = chain(project["dependencies"], *(optional[extra] for extra in extras or optional))
    return [line for line in lines if not line.startswith("fumikura[")]


def constraints() -> list[str]:
    """Give a line for each requirement that has a floor: "pillow==11.3"."""
    return sorted(_without_extras(line).replace(">=", "==") for line in requirements() if ">=" in line)


def _without_extras(line: str) -> str:
    """Drop "[binary]", which a constraint may not have."""
    name, _, rest = line.partition("[")
    return name + rest.partition("]")[2]


if __name__ == "__main__":
    print("\n".join(constraints()))
