"""Settings as FUMIKURA_* variables give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fumikura.core.errors import UsageError
from fumikura.core.settings import Settings, read_settings
from fumikura.core.store.upgrading import open_database


@pytest.mark.parametrize("number", ["0", "-1", "nan"])
def test_a_number_with_which_nothing_would_ever_be_read_is_refused(number: str) -> None:
    with pytest.raises(UsageError, match=f"FUMIKURA_LEASE_S='{number}' is too small"):
        read_settings({"FUMIKURA_LEASE_S": number})


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("FUMIKURA_PRECISION", "fp8", "must be auto or fp32 or bf16"),
        ("FUMIKURA_CONTEXT_WEIGHT", "inf", "is too large"),
        ("FUMIKURA_CONTEXT_WEIGHT", "-1", "is too small"),
    ],
)
def test_a_value_that_a_setting_cannot_have_is_refused(name: str, value: str, reason: str) -> None:
    with pytest.raises(UsageError, match=f"{name}='{value}' {reason}"):
        read_settings({name: value})


def test_an_option_is_refused_by_its_own_name() -> None:
    with pytest.raises(UsageError, match="precision='fp8' must be auto or fp32 or bf16"):
        Settings().overridden(precision="fp8")


def test_context_may_have_no_weight() -> None:
    assert read_settings({"FUMIKURA_CONTEXT_WEIGHT": "0"}) == Settings(context_weight=0.0)


def test_no_threads_means_as_many_as_there_are_cores() -> None:
    assert read_settings({"FUMIKURA_THREADS": "0"}) == Settings(threads=0)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("False", False), ("no", False)])
def test_a_yes_or_no_is_read_and_handed_on_to_the_workers(text: str, value: bool) -> None:
    settings = read_settings({"FUMIKURA_ALLOW_PRIVATE_ADDRESSES": text})

    assert settings.limits.allow_private_addresses is value
    assert read_settings(settings.to_environment()) == settings


def test_a_yes_or_no_that_is_neither_is_refused() -> None:
    with pytest.raises(UsageError, match="FUMIKURA_ALLOW_PRIVATE_ADDRESSES='perhaps' must be true or false"):
        read_settings({"FUMIKURA_ALLOW_PRIVATE_ADDRESSES": "perhaps"})


def test_a_database_may_have_any_file_name(tmp_path: Path) -> None:
    path = tmp_path / "what? 100%25.db"

    open_database(Settings().overridden(database_url=str(path)).database_url).dispose()

    assert path.exists()


def test_a_url_may_stand_in_a_file_which_a_plain_variable_overrides(tmp_path: Path) -> None:
    file = tmp_path / "broker_url"
    file.write_text("redis://:sesame@queue/0\n")
    by_file = {"FUMIKURA_BROKER_URL_FILE": str(file)}

    assert read_settings(by_file).broker_url == "redis://:sesame@queue/0"
    assert (
        read_settings({**by_file, "FUMIKURA_BROKER_URL": "redis://other/0"}).broker_url == "redis://other/0"
    )
    # What a launcher hands on to its workers needs no file.
    assert read_settings(read_settings(by_file).to_environment()) == read_settings(by_file)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), ("\n", "must hold one line"), ("redis://a\nredis://:sesame@b", "one line")],
)
def test_a_file_without_a_url_is_named_and_not_shown(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    file = tmp_path / "database_url"
    if content is not None:
        file.write_text(content)

    with pytest.raises(UsageError, match=f"FUMIKURA_DATABASE_URL_FILE=.*{reason}") as caught:
        read_settings({"FUMIKURA_DATABASE_URL_FILE": str(file)})

    assert "sesame" not in str(caught.value)


def test_only_passwords_are_looked_for_in_files() -> None:
    assert read_settings({"FUMIKURA_SEGMENTER_PATH_FILE": "/nowhere"}) == Settings()
