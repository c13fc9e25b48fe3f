"""What is installed: a wheel with everything inside, under the one name fumikura."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
#: At the top of the checkout; in the wheel they lie in fumikura/.
FOLDERS = ("core", "worker", "cli", "web", "migrations")


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
        f"fumikura/{path.relative_to(ROOT).as_posix()}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    } | {"fumikura/__init__.py", "fumikura/py.typed"}

    inside = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}

    assert inside == expected


def test_the_wheel_holds_what_is_no_python(wheel: Path) -> None:
    inside = set(ZipFile(wheel).namelist())

    assert inside >= {
        "fumikura/core/folding.tsv",
        "fumikura/core/weights/LICENSE",
        "fumikura/core/weights/classifier.md",
        "fumikura/core/weights/classifier.safetensors",
        "fumikura/core/weights/context.md",
        "fumikura/core/weights/context.safetensors",
        "fumikura/core/weights/segmenter.md",
        "fumikura/core/weights/segmenter.safetensors",
        "fumikura/migrations/env.py",
        "fumikura/migrations/script.py.mako",
    }
    assert any(name.startswith("fumikura/migrations/versions/") for name in inside)


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


def test_the_wheel_and_the_source_archive_hold_the_same_package(wheel: Path, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(tmp_path), "--target"]
    subprocess.run([*build, "sdist"], cwd=ROOT, check=True, capture_output=True)
    [packed] = tmp_path.glob("*.tar.gz")
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path, filter="data")
    [unpacked] = (path for path in tmp_path.iterdir() if path.is_dir())
    subprocess.run([*build, "wheel"], cwd=unpacked, check=True, capture_output=True)
    [rebuilt] = tmp_path.glob("*.whl")

    assert sorted(ZipFile(rebuilt).namelist()) == sorted(ZipFile(wheel).namelist())


def test_nothing_is_installed_at_the_top_but_fumikura_and_what_tells_of_it(wheel: Path) -> None:
    firsts = {name.partition("/")[0] for name in ZipFile(wheel).namelist()}

    name, version, *_ = wheel.name.split("-")
    assert firsts == {"fumikura", f"{name}-{version}.dist-info"}


@pytest.mark.slow
def test_no_other_distribution_brings_a_fumikura(environment: Path, tmp_path: Path) -> None:
    question = "from importlib.metadata import packages_distributions; "
    question += "print({*packages_distributions()['fumikura']})"

    answer = run_in(environment, "python", "-c", question, folder=tmp_path)

    assert answer.stdout == "{'fumikura'}\n", answer.stderr


@pytest.mark.slow
def test_only_fumikura_is_imported_where_it_is_installed(environment: Path, tmp_path: Path) -> None:
    for name in FOLDERS:
        answer = run_in(environment, "python", "-c", f"import {name}", folder=tmp_path)

        assert f"No module named {name!r}" in answer.stderr


@pytest.mark.slow
def test_the_environment_of_the_wheel_does_not_see_the_checkout(environment: Path, tmp_path: Path) -> None:
    question = "import json, sys, fumikura; from fumikura import cli, core, migrations, worker; "
    question += "packages = [fumikura, core, worker, cli, migrations]; "
    question += "print(json.dumps([sys.path, *(package.__file__ for package in packages)]))"

    answer = run_in(environment, "python", "-c", question, folder=tmp_path)

    path, *files = json.loads(answer.stdout)
    assert not {str(ROOT), str(ROOT / "src")} & set(path)
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
