"""This module measures what a reading is worth: one page in counts, any number of pages in ratios.

`metrics.py` compares mask, boxes and labels. This module adds what needs more than one label of a character
(the best five, confidence), the order, a page's text, and characters where there are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, median
from typing import Any

from fumikura.core.folding import fold
from fumikura.core.page import Character, PageImage, Reading, Scores, Truth
from fumikura.core.scoring.calibration import Sureness, calibration_error, reliability
from fumikura.core.scoring.metrics import match, pool, ratio, score
from fumikura.core.scoring.seal_areas import count_in_seals
from fumikura.core.scoring.texts import TextCounts, compare_texts
from fumikura.core.vocabulary import clean_text

#: Labels of a character that are looked at, the best included.
N_LABELS = 5


@dataclass(frozen=True, slots=True)
class PageMeasures:
    """These are counts of one page, and of each matched box how sure the reader was.

    Attributes:
        scores: all None without boxes and mask.
        n_top5: matched boxes with the right label among the best five, folded.
        n_top5_as_written: likewise, exactly as the truth writes it.
        n_successors: matched boxes that another one follows; 0 where the truth tells no order.
        n_right_successors: those of them that the same one follows in the reading.
        n_reported: characters that the reading reports.
        n_in_seals: those centred in a red seal that match no box of the truth.
        n_seal_ink: those of them that hold no black ink: parts of the seal itself. Where the truth
            has no boxes, `n_in_seals` counts the text under the seals too.
        is_empty: the truth says that there is no character.
        text: None where no text is known.
        sureness: (confidence, whether the label is right, folded) of each matched box.
    """

    scores: Scores = field(default_factory=Scores)
    n_top5: int = 0
    n_top5_as_written: int = 0
    n_successors: int = 0
    n_right_successors: int = 0
    n_reported: int = 0
    n_in_seals: int = 0
    n_seal_ink: int = 0
    is_empty: bool = False
    text: TextCounts | None = None
    sureness: tuple[Sureness, ...] = ()


def measure(
    reading: Reading, page: PageImage, *, truth: Truth | None, text: str | None, min_text: int = 1
) -> PageMeasures:
    """Compare a page's reading with what people say of it.

    Args:
        text: of the page, with its marks and white space; None if it is not known.
        min_text: a text of fewer characters is not compared.
    """
    boxes = truth.boxes or () if truth is not None else ()
    found = reading.characters
    pairs = match([one.box for one in found], [one.box for one in boxes])
    matched = [(found[mine], boxes[true].label) for mine, true in pairs]
    n_successors, n_right_successors = (
        _count_successors(pairs) if truth and truth.is_ordered and not truth.is_partial else (0, 0)
    )
    unmatched = set(range(len(found))) - {mine for mine, _ in pairs}
    n_in_seals, n_seal_ink = count_in_seals([found[mine].box for mine in unmatched], page)
    scores = score(reading, truth) if truth is not None else Scores()
    return PageMeasures(
        scores=scores,
        n_top5=sum(fold(label) in map(fold, _best_labels(one)) for one, label in matched),
        n_top5_as_written=sum(label in _best_labels(one) for one, label in matched),
        n_successors=n_successors,
        n_right_successors=n_right_successors,
        n_reported=len(found),
        n_in_seals=n_in_seals,
        n_seal_ink=n_seal_ink,
        is_empty=_says_empty(scores, truth, text),
        text=compare_texts(reading.text, text, min_length=min_text) if text is not None else None,
        sureness=tuple((one.confidence, fold(one.label) == fold(label)) for one, label in matched),
    )


def _best_labels(character: Character) -> list[str]:
    return [character.label, *(label for label, _ in character.alternatives)][:N_LABELS]


def _count_successors(pairs: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Count the matched boxes that have a successor, and those that have the right one.

    What was missed or is no character breaks no order: only matched boxes are looked at. In the
    truth's order each but the last has a successor; it is right if the same box comes next among
    the matched boxes of the reading.
    """
    in_reading = [true for _, true in sorted(pairs)]
    next_in_truth = dict(pairwise(sorted(in_reading)))
    n_right = sum(next_in_truth.get(true) == following for true, following in pairwise(in_reading))
    return len(next_in_truth), n_right


def _says_empty(scores: Scores, truth: Truth | None, text: str | None) -> bool:
    """Tell whether one kind of truth is complete and empty, and no other holds a character."""
    said: list[int] = []
    if truth is not None and truth.boxes is not None and not truth.is_partial:
        said.append(len(truth.boxes))
    if scores.pixel_tp is not None and scores.pixel_fn is not None:
        said.append(scores.pixel_tp + scores.pixel_fn)
    if text is not None:
        said.append(len(clean_text(text)))
    return bool(said) and not any(said)


def ratios(pages: Sequence[PageMeasures]) -> dict[str, float | None]:
    """Compute all ratios of some pages from their summed counts; None where no page supports one.

    Beside those of `pool` (metrics.py) there are `character_accuracy_top5` (also `_as_written`),
    `reading_order_accuracy`, `text_error_rate`, `text_f1` and `calibration_error`.
    """
    texts = [page.text for page in pages if page.text is not None]
    n_matched = sum(page.scores.n_matched or 0 for page in pages)
    n_characters = sum(text.n_truth + text.n_found for text in texts)
    return {
        # The empty scores count nothing, but without any the names would be missing.
        **(pool([Scores(), *(page.scores for page in pages)]) or {}),
        "character_accuracy_top5": ratio(sum(page.n_top5 for page in pages), n_matched),
        "character_accuracy_top5_as_written": ratio(sum(page.n_top5_as_written for page in pages), n_matched),
        "reading_order_accuracy": ratio(
            sum(page.n_right_successors for page in pages), sum(page.n_successors for page in pages)
        ),
        "text_error_rate": ratio(sum(text.distance for text in texts), sum(text.n_truth for text in texts)),
        "text_f1": ratio(2 * sum(text.n_common for text in texts), n_characters),
        "calibration_error": calibration_error(_sureness(pages)),
    }


def page_figures(page: PageMeasures) -> dict[str, Any]:
    """Give what `evaluate --json` says of a page: counts and ratios."""
    return {
        "characters": page.n_reported,
        "characters_in_seals": page.n_in_seals,
        "characters_of_seal_ink": page.n_seal_ink,
        "is_empty": page.is_empty,
        "text_length": page.text and page.text.n_truth,
        **ratios([page]),
    }


def figures(pages: Sequence[PageMeasures]) -> dict[str, Any]:
    """Give what `evaluate --json` says of several pages together.

    Means and medians of text measures count each page alike, however long its text;
    `characters_on_empty_pages`, `characters_in_seals` and `characters_of_seal_ink` are means a page.
    """
    texts = [page.text for page in pages if page.text is not None]
    error_rates, f1s = [text.error_rate for text in texts], [text.f1 for text in texts]
    empty = [page.n_reported for page in pages if page.is_empty]
    return {
        "pages": len(pages),
        "characters": sum(page.n_reported for page in pages),
        **ratios(pages),
        "text_pages": len(texts),
        "text_error_rate_mean": fmean(error_rates) if texts else None,
        "text_error_rate_median": median(error_rates) if texts else None,
        "text_f1_mean": fmean(f1s) if texts else None,
        "text_f1_median": median(f1s) if texts else None,
        "empty_pages": len(empty),
        "characters_on_empty_pages": fmean(empty) if empty else None,
        "characters_in_seals": fmean(page.n_in_seals for page in pages) if pages else None,
        "characters_of_seal_ink": fmean(page.n_seal_ink for page in pages) if pages else None,
        "calibration": reliability(_sureness(pages)),
    }


def worth(page: PageMeasures) -> float:
    """Give the figure by which pages are sorted: character F1, else text F1, else label accuracy."""
    found = ratios([page])
    known = [found[name] for name in ("character_f1", "text_f1", "character_accuracy")]
    return next((value for value in known if value is not None), 1.0)


def _sureness(pages: Sequence[PageMeasures]) -> list[Sureness]:
    return [one for page in pages for one in page.sureness]
