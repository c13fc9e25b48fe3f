"""Context: probabilities worked by hand, and pages against all sequences of labels written out."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fumikura.core.errors import CheckpointError, TruthError
from fumikura.core.page import Box, Character
from fumikura.core.recognition.context import ContextModel, fitted_shares, in_context, label_posteriors
from fumikura.core.recognition.models.checkpoint import load_context, save_context
from fumikura.core.recognition.recipe import find_weights
from fumikura.core.recognition.trigrams import OTHER, ContextCounts, Floats, Integers, TrigramCounts
from fumikura.core.training.context_counts import count_context, read_corpus, read_page_texts

BOX = Box(0, 0, 9, 9)
few_characters = st.text("あいう", min_size=1, max_size=12)


def model_of(*texts: str) -> ContextModel:
    return ContextModel(count_context({f"book_{number}": text for number, text in enumerate(texts)}))


def probability(model: ContextModel, text: str) -> float:
    """Of the last of three characters after the others; a blank is nothing."""
    first, second, third = (np.array([model.number(character)]) for character in text)
    return float(model.probabilities(first, second, third)[0])


def character(*labels: tuple[str, float], column: int = 0) -> Character:
    (label, confidence), *others = labels
    return Character(BOX, label, confidence, tuple(others), column)


def test_probabilities_are_those_worked_by_hand() -> None:
    model = model_of("あいあう")

    # Characters by their contexts: あ 2 (nothing, い), い 1, う 1, in all 4. n1 = 2 and n2 = 1 give
    # Y = 2/(2+2·1) = 1/2 and discounts 1-2·Y·1/2 = 1/2 and 2-3·Y·1/1 = 1/2: 3/2 of 4 is left over, and
    # shared by these three and OTHER.
    assert probability(model, "ううあ") == pytest.approx(1.5 / 4 + 3 / 8 / 4)
    assert probability(model, "ううい") == pytest.approx(0.5 / 4 + 3 / 8 / 4)
    assert probability(model, "うう猫") == pytest.approx(3 / 8 / 4)
    # All four pairs stand in one context: Y = 4/(4+2) = 2/3, discount 1-2·Y·1/4 = 2/3. あ leads い and う.
    assert probability(model, "うあい") == pytest.approx((1 / 3) / 2 + 2 / 3 * 0.21875)
    assert probability(model, "うああ") == pytest.approx(2 / 3 * 0.46875)
    # All four threes stand there once: the same discount. After いあ comes only う.
    assert probability(model, "いあう") == pytest.approx(1 / 3 + 2 / 3 * 0.3125)
    assert probability(model, "いあい") == pytest.approx(2 / 3 * 0.3125)


@given(st.lists(few_characters, min_size=1, max_size=6), st.text("あいう猫", min_size=2, max_size=2))
@settings(deadline=None, max_examples=50)
def test_probabilities_sum_to_one_after_any_two_characters(texts: list[str], before: str) -> None:
    counted = count_context({f"book_{number}": text for number, text in enumerate(texts)})
    model = ContextModel(counted)
    first, second = (np.array(model.number(one)) for one in before)

    p = model.probabilities(first, second, np.arange(len(counted.characters) + 1))

    assert (p > 0).all()
    assert p.sum() == pytest.approx(1)


def test_shares_are_those_worked_by_hand() -> None:
    probabilities = np.array([[0.8, 0.1], [0.2, 0.3]])

    # The first character is 0.4 / 0.5 of the first corpus, the second 0.05 / 0.2: 1.05 of two. With two
    # characters of prior that stand for half and half: 2.05 of four.
    even = np.array([0.5, 0.5])
    assert fitted_shares(probabilities, even, prior=0, rounds=1) == pytest.approx([1.05 / 2, 0.95 / 2])
    assert fitted_shares(probabilities, even, prior=2, rounds=1) == pytest.approx([2.05 / 4, 1.95 / 4])


def test_a_page_is_read_as_the_corpus_that_it_is_like() -> None:
    tales, recipes = (
        {f"a_{n}": "むかしおとこありけり" for n in range(9)},
        ["しほをいれるなり", "みそをいれるなり"] * 9,
    )
    model = ContextModel(replace(count_context(tales, [recipes]), shares=(0.9, 0.1)))
    text = "しほをいれるなりみそをいれるなり" * 20
    numbers = np.array([model.number(one) for one in text])

    fitted = model.fitted(numbers)

    assert probability(fitted, "るなり") > 2.5 * probability(model, "るなり")
    first, second = (np.array(model.number(one)) for one in "るな")
    size = len(set("".join([*tales.values(), *recipes]))) + 1
    assert fitted.probabilities(first, second, np.arange(size)).sum() == pytest.approx(1)


def test_shares_are_fitted_to_books_that_are_held_back() -> None:
    words = ["いろはに", "ほへとち", "りぬるを", "わかよた"]
    pages = {f"{book}_{n}": word * 3 for book, word in zip("abcd", words, strict=True) for n in range(5)}

    counted = count_context(pages, [["けふこえてあさき"] * 5, [word * 3 for word in words]])

    # No book tells anything of another, and one corpus nothing of any: what is left is the other.
    assert counted.shares == pytest.approx([1.0])
    assert counted.corpora[0].counts.sum() == len("".join(words)) * 3


def test_headings_and_gaps_break_a_corpus(tmp_path: Path) -> None:
    (tmp_path / "200_a.txt").write_text(
        "# 桐壺\nいづれの\n御時にか□女御\n# 帚木\n光〓源氏\n", encoding="utf-8"
    )
    (tmp_path / "300.txt").write_text("ほか", encoding="utf-8")

    texts = read_corpus(tmp_path, without_books=["300"])

    assert ["".join(text.split()) for text in texts] == ["いづれの御時にか", "女御", "光", "源氏"]
    with pytest.raises(TruthError, match="there is no text"):
        read_corpus(tmp_path, without_books=["300", "200"])


def test_old_and_new_kanji_have_one_number() -> None:
    model = model_of("氣力")

    assert model.number("気") == model.number("氣") != OTHER
    assert model.number("猫") == OTHER


def test_context_decides_where_the_classifier_hesitates() -> None:
    model = model_of(*["なりけり"] * 5, *["さくら"] * 5)
    page = [
        character(("な", 0.9), ("さ", 0.1)),
        character(("く", 0.45), ("り", 0.40)),
        character(("け", 0.9), ("ら", 0.1)),
    ]

    read = in_context(page, model, weight=0.5)

    assert "".join(one.label for one in read) == "なりけ"
    assert [label for label, _ in read[1].alternatives] == ["く"]


def test_context_goes_on_from_column_to_column() -> None:
    model = model_of(*["なりけり"] * 5)
    page = [
        character(("な", 0.9), ("さ", 0.1), column=0),
        character(("く", 0.5), ("り", 0.4), column=1),
    ]

    assert in_context(page, model, weight=0.5)[1].label == "り"


def test_what_comes_after_decides_too() -> None:
    model = model_of(*["春の山", "秋の川"] * 5)
    page = [
        character(("秋", 0.51), ("春", 0.49)),
        character(("の", 0.99), ("山", 0.01)),
        character(("山", 0.99), ("の", 0.01)),
    ]

    assert in_context(page, model, weight=1)[0].label == "春"


def test_no_weight_changes_nothing() -> None:
    page = [character(("い", 0.6), ("あ", 0.25)), character(("う", 0.5), ("い", 0.5))]

    read = in_context(page, model_of("あいあう"), weight=0)

    assert [one.label for one in read] == ["い", "う"]
    assert [one.confidence for one in read] == pytest.approx([0.6, 0.5])
    assert [one.alternatives[0][1] for one in read] == pytest.approx([0.25, 0.5])


def test_labels_come_best_first_and_other_labels_keep_their_probability() -> None:
    page = [character(("い", 0.4), ("う", 0.2), ("あ", 0.1)) for _ in range(3)]

    read = in_context(page, model_of("あああう"), weight=2)

    for one in read:
        probabilities = [one.confidence, *(probability for _, probability in one.alternatives)]
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) == pytest.approx(0.7)
        assert {one.label, *(label for label, _ in one.alternatives)} == {"い", "う", "あ"}
    assert read[0].label == "あ"


def test_a_page_without_characters_stays_empty() -> None:
    assert in_context((), model_of("あ"), weight=0.5) == ()


def test_no_weight_is_too_large_for_a_page() -> None:
    page = [character(("い", 0.6), ("猫", 0.4)) for _ in range(50)]

    read = in_context(page, model_of("あいあう"), weight=1e6)

    assert all(np.isfinite(one.confidence) for one in read)


@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_posteriors_are_those_of_all_sequences_of_labels(data: st.DataObject) -> None:
    model = model_of("あいあう", "いいうあ")
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    length = data.draw(st.integers(1, 5))
    weight = data.draw(st.sampled_from([0, 0.3, 1, 2]))
    numbers = rng.integers(0, 4, (length, 3))
    probabilities = rng.dirichlet([0.5] * 3, length) + 1e-9

    posteriors = label_posteriors(model, numbers, probabilities, weight=weight)

    assert posteriors == pytest.approx(written_out(model, numbers, probabilities, weight), abs=1e-9)


def written_out(model: ContextModel, numbers: Integers, probabilities: Floats, weight: float) -> Floats:
    """The posteriors, from the likelihood of every sequence of labels."""
    posteriors = np.zeros_like(probabilities)
    rows = list(range(len(numbers)))
    for choice in product(range(numbers.shape[1]), repeat=len(rows)):
        given = (numbers[row, [label]] for row, label in zip(rows, choice, strict=True))
        text = [np.array([OTHER]), np.array([OTHER]), *given]
        likelihood = prod(
            probabilities[row, label] * float(model.probabilities(*three)[0]) ** weight
            for row, label, *three in zip(rows, choice, text, text[1:], text[2:], strict=False)
        )
        posteriors[rows, choice] += likelihood
    totals: Floats = posteriors.sum(axis=1, keepdims=True)
    return posteriors / totals


def test_a_page_asks_the_model_once_and_for_no_more_than_its_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, ask = [], ContextModel.probabilities

    def counted(model: ContextModel, *three: Integers) -> Floats:
        found = ask(model, *three)
        sizes.append(found.size)
        return found

    monkeypatch.setattr(ContextModel, "probabilities", counted)
    page = [character(("あ", 0.5), ("い", 0.5)) for _ in range(300)]

    in_context(page, model_of("あいあう"), weight=0.5)

    assert sizes == [300 * 2**3]


def test_texts_are_counted_across_columns_and_not_from_page_to_page() -> None:
    counted = count_context({"a_1": "あ、\nい", "a_2": "あ"})

    assert counted.characters == ("あ", "い")
    [corpus] = counted.corpora
    assert corpus.trigrams.tolist() == [[0, 0, 1], [0, 1, 2]]
    assert corpus.counts.tolist() == [2, 1]


def test_texts_are_read_from_transcripts_and_folders_without_some_books(tmp_path: Path) -> None:
    transcripts = tmp_path / "transcripts.txt"
    transcripts.write_text("# a_1\nあい\nう\n# b_1\nえ\n", encoding="utf-8")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a_1.txt").write_text("x", encoding="utf-8")
    (tmp_path / "text" / "a_2.txt").write_text("お", encoding="utf-8")

    texts = read_page_texts([transcripts, tmp_path / "text"], without_books=["b"])

    assert texts == {"a_1": "あい\nう", "a_2": "お"}


def test_texts_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "a_1.txt").write_text("、。\n", encoding="utf-8")
    (tmp_path / "latin").write_bytes("é".encode("latin-1"))

    with pytest.raises(TruthError, match="there is no text; name transcripts"):
        read_page_texts([tmp_path])
    with pytest.raises(TruthError, match=r"latin is not UTF-8 at byte 0"):
        read_page_texts([tmp_path / "latin"])


def test_a_context_is_saved_and_loaded(tmp_path: Path) -> None:
    counted = count_context({"a_1": "なりけり", "b_1": "なりける"}, [["なりけり", "けりな"]])

    save_context(tmp_path / "context.safetensors", counted)
    loaded = load_context(tmp_path / "context.safetensors")

    assert loaded.characters == counted.characters
    assert loaded.shares == counted.shares
    for found, expected in zip(loaded.corpora, counted.corpora, strict=True):
        assert np.array_equal(found.trigrams, expected.trigrams)
        assert np.array_equal(found.counts, expected.counts)


def test_counts_that_do_not_fit_their_labels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "context.safetensors"
    one = np.ones(1, np.uint16)

    save_context(path, ContextCounts(("あ",), (TrigramCounts(np.array([[0, 1, 2]], np.uint16), one),)))
    with pytest.raises(CheckpointError, match="do not fit its own labels"):
        load_context(path)
    save_context(path, ContextCounts(("あ",), (TrigramCounts(np.empty((0, 3), np.uint16), one[:0]),)))
    with pytest.raises(CheckpointError, match="lacks the counts"):
        load_context(path)
    with pytest.raises(CheckpointError, match="not a context; name a file that `fumikura train context`"):
        load_context(find_weights("segmenter", None))


def test_the_context_that_ships_is_small_and_knows_the_language() -> None:
    path = find_weights("context", None)

    model = ContextModel(load_context(path))

    assert path.stat().st_size < 3_000_000
    for text, unlikely in (("りけり", "りけさ"), ("申候へ", "申候り"), ("給へり", "給へ御")):
        assert probability(model, text) > 10 * probability(model, unlikely)
