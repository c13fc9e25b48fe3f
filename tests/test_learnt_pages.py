"""Scores are not flattered: pages that the weights have learnt from are said to be so, and left out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from fumikura.cli.main import main
from fumikura.cli.run_results import left_out
from fumikura.core.page import Scores
from fumikura.core.recognition.models.checkpoint import load_segmenter, save_segmenter
from fumikura.core.recognition.recipe import find_weights, make_recipe
from fumikura.core.recognition.weights_header import learnt_pages, tell_learnt_pages
from fumikura.core.store.connecting import Engine
from fumikura.core.store.page_list import find_pages
from fumikura.core.store.pages import add_pages, add_run
from fumikura.core.store.queries import run_scores_by_book
from fumikura.core.store.saving import save_reading
from tests import handmade
from tests.simple_store import RECIPE, WORKER, claim_all, make_pages, make_reading, make_truth

DIGESTS = ("a" * 64, "b" * 64)


def test_weights_name_the_pages_that_they_learnt_from(tmp_path: Path) -> None:
    segmenter, classifier = handmade.write_weights(tmp_path)
    model, config = load_segmenter(segmenter)
    taught = tmp_path / "taught.safetensors"
    save_segmenter(taught, model, config, history=tell_learnt_pages(DIGESTS))

    assert learnt_pages(segmenter) == frozenset()
    assert learnt_pages(taught) == frozenset(DIGESTS)
    assert make_recipe(taught, classifier).learnt_pages == frozenset(DIGESTS)
    load_segmenter(taught)


def test_a_recipe_is_the_same_whatever_is_known_of_its_pages() -> None:
    assert replace(RECIPE, learnt_pages=frozenset(DIGESTS)).digest == RECIPE.digest


def test_what_ships_names_its_forty_pages() -> None:
    found = [learnt_pages(find_weights(kind, None)) for kind in ("segmenter", "classifier")]

    assert [len(pages) for pages in found] == [40, 40]
    assert found[0] == found[1]
    assert all(len(digest) == 64 for digest in found[0])


@pytest.fixture
def run_id(engine: Engine) -> int:
    """Three pages, two of them with truth; the weights have learnt from the first and from one elsewhere."""
    pages = make_pages(3)
    recipe = replace(RECIPE, learnt_pages=frozenset({pages[0].digest, "f" * 64}))
    found = add_run(engine, recipe, command="run")
    truth = make_truth("あ")
    add_pages(engine, found, pages, truths={page.digest: truth for page in pages[:2]})
    for claimed in claim_all(engine, recipe=recipe):
        scores = Scores(n_truth=claimed.page_id) if claimed.truth else None
        reading = make_reading("あ")
        assert save_reading(
            engine, claimed.reading_id, reading, worker=WORKER, scores=scores, truth=claimed.truth
        )
    return found


def test_scores_of_learnt_pages_stand_apart(engine: Engine, run_id: int) -> None:
    unseen = run_scores_by_book(engine, run_id, is_learnt=False)
    learnt = run_scores_by_book(engine, run_id, is_learnt=True)

    assert [scores.n_truth for _, scores in unseen] == [2]
    assert [scores.n_truth for _, scores in learnt] == [1]
    assert len(run_scores_by_book(engine, run_id)) == 2


@pytest.mark.usefixtures("run_id")
def test_a_list_of_pages_tells_which_were_learnt_from(engine: Engine) -> None:
    assert [page.is_learnt for page in find_pages(engine)] == [True, False, False]


def test_a_run_says_how_many_pages_are_left_out() -> None:
    scores = Scores(n_truth=4, n_found=4, n_matched=4, n_right=4, n_right_as_written=4)

    (line, _) = left_out([("book", scores)])

    assert line.startswith("1 page with truth left out of the scores: learnt from this page")
    assert "character F1 1.000" in line
    assert left_out([]) == []


@pytest.mark.slow
def test_evaluate_leaves_learnt_pages_out_of_its_totals(tmp_path: Path) -> None:
    segmenter, classifier = handmade.write_weights(tmp_path)
    pages = tmp_path / "pages"
    pages.mkdir()
    for number in (0, 1):
        (pages / f"book_0000{number}_1.png").write_bytes(handmade.page_png(number))
    handmade.write_truth(tmp_path / "truth.csv", 2)
    taught = tmp_path / "taught.safetensors"
    seen = hashlib.sha256(handmade.page_png(0)).hexdigest()
    save_segmenter(taught, *load_segmenter(segmenter), history=tell_learnt_pages([seen]))

    result = CliRunner().invoke(
        main,
        [
            *("evaluate", "pages", str(pages), "--truth", str(tmp_path / "truth.csv"), "--json"),
            *("--segmenter", str(taught), "--classifier", str(classifier), "--context-weight", "0"),
        ],
    )

    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["is_learnt"] for line in lines if line["scope"] == "page"] == [True, False]
    assert (lines[-1]["scope"], lines[-1]["pages"], lines[-1]["learnt_pages"]) == ("total", 1, 1)
    assert "1 page left out" in result.stderr
