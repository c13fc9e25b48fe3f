"""What is installed: a wheel with everything inside, under names that nobody else uses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("core", "worker", "cli", "migrations")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with the wheel in it, far from the checkout.

    torch alone is gigabytes, so the dependencies are those of the tests' own environment, put on the path by
    a .pth file. Python follows no .pth files found on such a path: the editable install of the checkout is
    one, and stays out.
    """
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    [site_packages] = folder.glob("lib/python*/site-packages")
    outer = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site_packages / "dependencies.pth").write_text("\n".join(sorted(outer)))
    return folder


def run_in(environment: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment in a folder, without settings that the tests may have made."""
    variables = {
        name: text for name, text in os.environ.items() if not name.startswith(("FUMIKURA_", "PYTHON"))
    }
    program = str(environment / "bin" / arguments[0])
    return subprocess.run(
        [program, *arguments[1:]], cwd=folder, env=variables, text=True, capture_output=True, timeout=240
    )


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    inside = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}

    assert inside == expected


def test_the_wheel_holds_what_is_no_python(wheel: Path) -> None:
    inside = set(ZipFile(wheel).namelist())

    assert inside >= {
        "core/folding.tsv",
        "core/weights/LICENSE",
        "core/weights/classifier.md",
        "core/weights/classifier.safetensors",
        "core/weights/context.md",
        "core/weights/context.safetensors",
        "core/weights/segmenter.md",
        "core/weights/segmenter.safetensors",
        "migrations/env.py",
        "migrations/script.py.mako",
    }
    assert any(name.startswith("migrations/versions/") for name in inside)


def test_both_licences_travel_with_the_wheel(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        licences = {
            name.partition("/licenses/")[2]: archive.read(name).decode()
            for name in archive.namelist()
            if ".dist-info/licenses/" in name
        }

    assert "Apache License" in licences["LICENSE"]
    assert "Attribution-ShareAlike 4.0 International" in licences["core/weights/LICENSE"]
    assert "10.20676/00000340" in licences["core/weights/LICENSE"]


def test_no_other_distribution_owns_our_top_level_names() -> None:
    owners = packages_distributions()

    assert {package: set(owners.get(package, ())) - {"fumikura"} for package in PACKAGES} == {
        package: set() for package in PACKAGES
    }


@pytest.mark.slow
def test_the_environment_of_the_wheel_does_not_see_the_checkout(environment: Path, tmp_path: Path) -> None:
    question = "import json, sys, core, worker, cli, migrations as m; "
    question += "print(json.dumps([sys.path, core.__file__, worker.__file__, cli.__file__, m.__file__]))"

    answer = run_in(environment, "python", "-c", question, folder=tmp_path)

    path, *files = json.loads(answer.stdout)
    assert str(ROOT) not in path
    assert all(Path(file).is_relative_to(environment) for file in files)


@pytest.mark.slow
def test_the_wheel_reads_a_page_far_from_the_checkout(environment: Path, tmp_path: Path) -> None:
    page = min(path for path in (ROOT / "samples").iterdir() if path.suffix in {".jpg", ".png"})
    shutil.copy(page, tmp_path)

    answer = run_in(environment, "fumikura", "run", page.name, "--devices", "cpu", "--json", folder=tmp_path)

    assert answer.returncode == 0, answer.stderr
    figures = json.loads(answer.stdout)
    assert (figures["pages"], figures["done"], figures["failed"]) == (1, 1, 0)
    assert figures["characters"] > 0
    assert (tmp_path / "fumikura.db").is_file()
