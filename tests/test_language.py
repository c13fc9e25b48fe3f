"""Messages and help come in the reader's language, and nothing is missing from the catalogue."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import polib
import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from fumikura.cli.language import LOCALE, Catalogue, Template, translated, use_language
from fumikura.cli.main import SECTIONS, main
from tests.messages import all_messages

JAPANESE = {"LANG": "ja_JP.UTF-8"}
CATALOGUE = LOCALE / "ja" / "LC_MESSAGES" / "fumikura.po"


@pytest.fixture(autouse=True)
def _afterwards_english() -> Iterator[None]:
    yield
    use_language({})


@pytest.mark.parametrize(
    ("environment", "is_japanese"),
    [
        ({"LANG": "ja_JP.UTF-8"}, True),
        ({"LANG": "ja_JP.eucJP"}, True),
        ({"LANG": "ja"}, True),
        ({"LC_MESSAGES": "ja_JP.UTF-8", "LANG": "en_US.UTF-8"}, True),
        ({"LC_ALL": "en_US.UTF-8", "LC_MESSAGES": "ja_JP.UTF-8", "LANG": "ja_JP.UTF-8"}, False),
        ({"LANGUAGE": "ja:en", "LANG": "en_US.UTF-8"}, True),
        ({"LANGUAGE": "fr:ja", "LANG": "en_US.UTF-8"}, True),
        ({"LANGUAGE": "en:ja", "LANG": "ja_JP.UTF-8"}, False),
        ({"LANGUAGE": "ja"}, True),
        ({"LANGUAGE": "ja", "LC_ALL": "C"}, False),
        ({"LANGUAGE": "../../ja", "LANG": "en_US.UTF-8"}, False),
        ({"LANG": "C.UTF-8"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_the_locale_decides(environment: dict[str, str], is_japanese: bool) -> None:
    result = CliRunner().invoke(main, ["status", "--db", "/nowhere/none.db"], env=_only(environment))

    assert result.exit_code == 1
    assert result.stderr.startswith("エラー: " if is_japanese else "error: ")


def test_what_the_terminal_cannot_show_stays_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))

    use_language(JAPANESE)

    assert translated("no page failed") == "no page failed"


def test_a_template_takes_values_along_and_the_longest_fitting_one_wins() -> None:
    templates = (
        Template("{path} is no {kind} file ({error})", "{path}は{kind}ではない（{error!t}）"),
        Template("{error}; again", "{error!t}、再び"),
    )
    catalogue = Catalogue({"is empty": "空"}, templates)

    assert catalogue.translate("is empty; again") == "空、再び"
    assert catalogue.translate("is empty is no PNG file (is empty)") == "is emptyはPNGではない（空）"
    assert catalogue.translate("a {path} (is empty)") == "a {path} (is empty)"


def test_json_stays_english(tmp_path: Path) -> None:
    in_english = CliRunner().invoke(
        main, ["doctor", "--json", "--db", str(tmp_path / "none.db")], env=_only({})
    )

    result = CliRunner().invoke(
        main, ["doctor", "--json", "--db", str(tmp_path / "none.db")], env=_only(JAPANESE)
    )

    assert [line for line in result.stdout.splitlines() if "disk" not in line] == [
        line for line in in_english.stdout.splitlines() if "disk" not in line
    ]


def _only(environment: dict[str, str]) -> dict[str, str | None]:
    names = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
    return {**dict.fromkeys(names), **environment}


def test_nothing_that_is_said_is_missing_from_the_catalogue() -> None:
    """`python -m tests.messages` adds what is new, for somebody to translate."""
    translations = {entry.msgid: entry.msgstr for entry in polib.pofile(str(CATALOGUE))}

    missing = [message for message in all_messages() if not translations.get(message)]

    assert missing == []


def test_no_translation_asks_for_a_value_that_its_message_lacks() -> None:
    for entry in polib.pofile(str(CATALOGUE)):
        assert _names(entry.msgstr) <= _names(entry.msgid), entry.msgid


def test_each_template_finds_its_own_translation() -> None:
    """However many templates there are, none takes what is another's."""
    use_language(JAPANESE)
    entries = {entry.msgid: entry.msgstr for entry in polib.pofile(str(CATALOGUE))}

    for message, is_template in all_messages().items():
        if is_template:
            found = translated(_PLACEHOLDER.sub(_value, message))
            expected = _PLACEHOLDER.sub(lambda name: translated(_value(name)), entries[message])
            # Of two values side by side the first may get all.
            assert "".join(found.split()) == "".join(expected.split())


_PLACEHOLDER = re.compile(r"\{(\w+)(!t)?\}")


def _value(name: re.Match[str]) -> str:
    numbers = dict.fromkeys(["number", "run_id"], "7")
    others = {"counted": "3 pages", "left": "0:20", "suffix": ".csv", "glyph": "あ", "char": "い"}
    return (numbers | others).get(name[1], f"⟨{name[1]}⟩")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("command", [[], ["run"], ["status"], ["query", "characters"], ["export"]])
def test_japanese_help_fits_the_terminal(command: list[str], width: int) -> None:
    result = CliRunner().invoke(main, [*command, "--help"], terminal_width=width, env=_only(JAPANESE))

    assert result.output.startswith("使い方: ")
    foldable = [line for line in result.output.splitlines() if "fumikura" not in line.lower()]
    assert max(map(cell_len, foldable)) <= width


def test_japanese_help_lists_every_command() -> None:
    result = CliRunner().invoke(main, ["--help"], env=_only(JAPANESE))

    for name in [name for names in SECTIONS.values() for name in names]:
        (line,) = (line for line in result.output.splitlines() if line.startswith(f"  {name} "))
        assert any("ぁ" <= character <= "ん" for character in line), line


def _names(message: str) -> set[str]:
    return set(re.findall(r"\{(\w+)", message))
