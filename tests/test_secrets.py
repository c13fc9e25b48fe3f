"""Passwords do not show, messages cannot carry code, and file names cannot steer a terminal."""

from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path

import pytest
from click.testing import CliRunner
from kombu.exceptions import ContentDisallowed
from kombu.serialization import loads

from fumikura.cli.main import main
from fumikura.cli.output import as_text, printable
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.settings import Settings
from fumikura.worker.broker import make_app
from tests.handmade import write_weights, write_zip


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_weights(tmp_path_factory.mktemp("weights"))


@pytest.mark.parametrize(
    ("database", "broker"),
    [
        ("postgresql://reader:sesame@127.0.0.1:1/books", "redis://:sesame@127.0.0.1:1/0"),
        ("postgresql://127.0.0.1:1/books?password=sesame", "redis://127.0.0.1:1/0?password=sesame"),
        ("postgresql://reader:sesame@127.0.0.1:one/books", "redis://:sesame@127.0.0.1:one/0"),
        ("mysql://reader:sesame@127.0.0.1/books", "pigeon://:sesame@127.0.0.1/0"),
        ("fumikura.db", "redis://:sesame@127.0.0.1:1/0"),
        ("fumikura.db", "amqp://reader:sesame@127.0.0.1:1/books"),
        ("fumikura.db", "amqp://reader:sesame@127.0.0.1:1//;amqps://reader:sesame@127.0.0.2:1//"),
        ("fumikura.db", "amqp://reader:sesame/;#?@127.0.0.1:1/books"),
        ("postgresql://reader:open@sesame@127.0.0.1:1/books", "redis://:open@sesame@127.0.0.1:1/0"),
        ("postgresql://reader:open@/sesame@127.0.0.1:1/books", "amqp://reader:open@sesame@127.0.0.1:1//"),
        ("postgresql://reader:open?sesame@127.0.0.1:1/books", "redis://:open@/sesame@127.0.0.1:1/0"),
        ("postgresql://reader:open#sesame@127.0.0.1:1/books", "redis://:open?sesame@127.0.0.1:1/0"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        "doctor",
        "doctor --json",
        "--debug status",
        "--debug enqueue book.zip",
        "--debug worker",
        "--debug db upgrade",
    ],
)
def test_no_command_shows_a_password(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    weights: tuple[Path, Path],
    command: str,
    database: str,
    broker: str,
) -> None:
    for name in [name for name in os.environ if name.startswith("FUMIKURA_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO)  # as `worker` sets it, and other than there undone at the end
    write_zip(tmp_path / "book.zip", 1)
    segmenter, classifier = weights
    settings = Settings(segmenter_path=segmenter, classifier_path=classifier, devices="cpu")
    environment = settings.overridden(database_url=database, broker_url=broker).to_environment()

    result = CliRunner().invoke(main, command.split(), env=environment)

    assert result.output
    assert "sesame" not in result.output + caplog.text


def test_a_message_can_be_json_and_nothing_else() -> None:
    app = make_app(Settings(broker_url="redis://127.0.0.1:1/0"), Recipe("", ""))

    assert app.conf.accept_content == ["json"]
    with pytest.raises(ContentDisallowed):
        loads(  # type: ignore[no-untyped-call]
            pickle.dumps([1]), "application/x-python-serialize", "binary", accept=app.conf.accept_content
        )


def test_a_file_name_does_not_steer_the_terminal() -> None:
    assert as_text("page\x1b[2J\x07\x9b1m") == "page␛[2J␇\N{REPLACEMENT CHARACTER}1m"
    assert printable("one\ntwo 頁") == "one\ntwo 頁"
