"""What the image installs, and the oldest versions that are allowed: both fit pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text()


def requirements(*extras: str) -> list[str]:
    """Give the lines of the dependencies, and of some extras or all, as pyproject.toml has them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    lines = chain(project["dependencies"], *(optional[extra] for extra in extras or optional))
    return [line for line in lines if not line.startswith("fumikura[")]


EXTRAS = re.findall(r"^LOCKED_EXTRAS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split()
IN_IMAGE = [Requirement(line) for line in (*requirements(*EXTRAS), "hatchling>=1.26")]


def locked() -> dict[str, list[str]]:
    """The versions of each package in the lock file; more than one where platforms differ."""
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", LOCK, re.MULTILINE):
        versions.setdefault(canonicalize_name(name), []).append(version)
    return versions


@pytest.mark.parametrize("requirement", IN_IMAGE, ids=lambda requirement: requirement.name)
def test_the_lock_file_holds_what_pyproject_asks_for(requirement: Requirement) -> None:
    versions = locked().get(canonicalize_name(requirement.name), [])

    assert versions, "run `make lock`"
    assert all(requirement.specifier.contains(version) for version in versions), "run `make lock`"


def test_every_locked_package_has_a_hash_and_names_no_index() -> None:
    packages = re.split(r"^(?=\w)", LOCK, flags=re.MULTILINE)[1:]

    assert len(packages) > 50
    assert [package for package in packages if not re.search(r"--hash=sha256:[0-9a-f]{64}", package)] == []
    assert "://" not in LOCK
    assert "--index" not in LOCK


def test_the_lock_file_is_for_the_python_of_the_image() -> None:
    python = re.findall(
        r"^ARG PYTHON_IMAGE=python:(\d+\.\d+)\.", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )

    assert python == re.findall(r"^LOCKED_PYTHON := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_everything_has_a_floor_but_types() -> None:
    without = [line for line in requirements() if ">=" not in line]

    assert [line for line in without if not line.startswith("types-")] == []


def test_floors_are_those_that_were_found_to_hold() -> None:
    floors = {one.name: one.specifier for line in requirements() if (one := Requirement(line)).specifier}

    # Each of these failed: sound TIFFs, options of tables, a clock that was set, what Celery asks for.
    for name, too_old in (("pillow", "12.3"), ("sqlalchemy", "2.0.58"), ("psutil", "7.0"), ("click", "8.2")):
        assert not floors[name].contains(too_old)
