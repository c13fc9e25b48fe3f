"""From a request to rows, and what a machine needs for reading."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event, text

from fumikura.core import doctor
from fumikura.core.errors import CheckpointError, DatabaseError, DeviceError, TruthError
from fumikura.core.intake import submit, survey
from fumikura.core.page import Box, Character, Reading
from fumikura.core.recognition.models.device import try_device
from fumikura.core.recognition.recipe import Recipe, recipe_of
from fumikura.core.settings import Settings
from fumikura.core.store.connecting import Engine
from fumikura.core.store.queries import run_scores_by_book
from fumikura.core.store.room import try_to_write
from fumikura.core.store.saving import save_reading
from fumikura.core.store.upgrading import open_database
from tests.handmade import BOX_SIDE, blots, page_png, write_truth, write_weights, write_zip
from tests.servers import Server
from tests.simple_store import claim_pages

RECIPE = Recipe("a" * 64, "b" * 64)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(f"sqlite:///{tmp_path / 'fumikura.db'}")


def test_what_is_no_page_is_counted(tmp_path: Path, engine: Engine) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "page.png").write_bytes(page_png(0))
    (tmp_path / "scans" / "copy.png").write_bytes(page_png(0))
    (tmp_path / "scans" / "notes.txt").write_text("about the scans")

    submitted = submit(engine, survey([str(tmp_path / "scans")]), recipe=RECIPE, command="test")

    assert (submitted.added.n_pages, submitted.added.n_queued, submitted.ignored.n_files) == (1, 1, 1)


def test_new_truth_scores_a_reading_that_is_done(tmp_path: Path, engine: Engine) -> None:
    write_zip(tmp_path / "book.zip", 1)
    write_truth(tmp_path / "truth.csv", 1)
    archives = [str(tmp_path / "book.zip")]
    submit(engine, survey(archives), recipe=RECIPE, command="test")
    (claimed,) = claim_pages(engine, 1, recipe=RECIPE, worker="w")
    y, x = blots(0)[0]
    found = Character(Box(x - BOX_SIDE // 2, y - BOX_SIDE // 2, BOX_SIDE, BOX_SIDE), "一", 0.9)
    save_reading(
        engine, claimed.reading_id, Reading(np.zeros((160, 120), bool), (found,), 120, 160), worker="w"
    )

    submitted = submit(
        engine, survey(archives, truth=[tmp_path / "truth.csv"]), recipe=RECIPE, command="test"
    )

    ((_, scores),) = run_scores_by_book(engine, submitted.run_id)
    assert submitted.n_with_truth == 1
    assert (scores.n_truth, scores.n_found, scores.n_matched, scores.n_right) == (3, 1, 1, 1)


def test_truth_that_fits_two_pages_is_refused_and_nothing_stored(tmp_path: Path, engine: Engine) -> None:
    write_truth(tmp_path / "truth.csv", 1)
    for number, folder in enumerate(("one", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "book_00000_1.png").write_bytes(page_png(number))
    archives = [str(tmp_path / "one"), str(tmp_path / "two")]

    with pytest.raises(TruthError, match="two different pages"):
        submit(engine, survey(archives, truth=[tmp_path / "truth.csv"]), recipe=RECIPE, command="test")

    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM run")).scalar_one() == 0


def test_complete_truth_goes_before_partial_truth(tmp_path: Path, engine: Engine) -> None:
    write_zip(tmp_path / "book.zip", 2)
    write_truth(tmp_path / "complete.csv", 1)
    write_truth(tmp_path / "partial.csv", 2)

    found = survey(
        [str(tmp_path / "book.zip")],
        truth=[tmp_path / "complete.csv"],
        partial_truth=[tmp_path / "partial.csv"],
    )
    submit(engine, found, recipe=RECIPE, command="test")

    with engine.connect() as connection:
        rows = connection.execute(text("SELECT is_partial FROM truth ORDER BY page_id")).scalars().all()
    assert list(map(bool, rows)) == [False, True]


def test_a_recipe_wants_weights_of_the_right_kind(tmp_path: Path) -> None:
    segmenter, classifier = write_weights(tmp_path)

    recipe_of(Settings(segmenter_path=segmenter, classifier_path=classifier))
    with pytest.raises(CheckpointError, match="no classifier weights"):
        recipe_of(Settings(segmenter_path=segmenter, classifier_path=segmenter))
    (tmp_path / "text").write_text("no weights at all, but a text of some length")
    with pytest.raises(CheckpointError, match="no segmenter weights"):
        recipe_of(Settings(segmenter_path=tmp_path / "text", classifier_path=classifier))


def test_the_processor_does_what_a_worker_will_ask_of_it() -> None:
    assert try_device("cpu").startswith("cpu: ")


@pytest.mark.parametrize("name", ["cuda:99", "abacus"])
def test_a_device_that_does_not_exist_is_named_with_a_remedy(name: str) -> None:
    with pytest.raises(DeviceError, match=f"{name} does not work .*take the device cpu"):
        try_device(name)


def test_what_is_wrong_becomes_a_finding(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'a.db'}", segmenter_path=tmp_path / "none")

    weights = doctor.check("weights", lambda: doctor.look_at_weights(settings))
    database = doctor.check("database", lambda: doctor.look_at_database(settings))

    assert not weights.is_good
    assert "none" in weights.finding
    assert database.is_good
    assert not (tmp_path / "a.db").exists()


def test_a_database_is_looked_at_where_there_is_one(tmp_path: Path, engine: Engine) -> None:
    write_zip(tmp_path / "book.zip", 2)
    submit(engine, survey([str(tmp_path / "book.zip")]), recipe=RECIPE, command="test")

    found = doctor.look_at_database(Settings(database_url=f"sqlite:///{tmp_path / 'fumikura.db'}"))

    assert found.endswith("fumikura.db holds 2 pages of 1 run")


def test_a_device_is_told_with_the_workers_and_threads_of_a_run() -> None:
    found = doctor.look_at_devices(["cpu", "cpu"], n_threads=1)

    assert found.startswith("cpu: ")
    assert found.endswith(", with 1 thread; 2 workers side by side")


def test_looking_at_a_database_leaves_nothing_in_it(engine: Engine) -> None:
    doctor.look_at_database(Settings(database_url=str(engine.url)))

    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM gate")).scalar_one() == 0


def test_a_database_that_takes_no_writes_is_a_finding(postgres_url: str) -> None:
    # As a hot standby answers, and a server that an operator set to reading.
    url = f"{postgres_url}&options=-c%20default_transaction_read_only%3Don"

    found = doctor.check("database", lambda: doctor.look_at_database(Settings(database_url=url)))

    assert not found.is_good
    assert (
        "takes no writes (cannot execute INSERT in a read-only transaction); name the primary"
        in found.finding
    )


def test_a_file_that_takes_no_writes_is_a_finding(engine: Engine) -> None:
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON"))
    engine.dispose()

    with pytest.raises(DatabaseError, match=r"takes no writes \(attempt to write a readonly database"):
        try_to_write(engine)


def test_a_folder_that_takes_no_file_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")  # root may write anywhere

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'a.db'}")

    found = doctor.check("database", lambda: doctor.look_at_database(settings))

    assert not found.is_good
    assert f"nothing can be written in {tmp_path} (Permission denied)" in found.finding


def test_the_disk_of_a_file_is_that_to_which_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    open_database(f"sqlite:///{tmp_path / 'large' / 'a.db'}").dispose()
    (tmp_path / "a.db").symlink_to(tmp_path / "large" / "a.db")

    found = doctor.look_at_disk(Settings(database_url=f"sqlite:///{tmp_path / 'a.db'}"))

    assert f"free in {tmp_path / 'large'}," in found


def test_the_disk_of_a_server_is_its_own(
    postgres_server: Server, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = doctor.look_at_disk(Settings(database_url=postgres_url))
    monkeypatch.setattr("fumikura.core.store.room._data_folder", lambda _: None)
    elsewhere = doctor.look_at_disk(Settings(database_url=postgres_url))

    assert f"free in {postgres_server.folder / 'data'}, room for about " in here
    assert re.match(
        r"the server's, which cannot be seen from here; the database has \d+\.\d GB,"
        " and a million more pages take about 200 GB",
        elsewhere,
    )


@pytest.mark.parametrize(("number", "rounded"), [(0, 0), (7, 7), (99, 99), (1_299_999, 1_200_000)])
def test_a_guess_has_two_digits(number: int, rounded: int) -> None:
    assert doctor.about(number) == rounded


def test_a_full_disk_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LOW_DISK_BYTES", 1 << 62)  # no disk has so much room
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'a.db'}")

    found = doctor.check("disk", lambda: doctor.look_at_disk(settings))

    assert not found.is_good
    assert "--db" in found.finding
