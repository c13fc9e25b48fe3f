"""What the commands print, piece by piece."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from fumikura.cli.output import as_duration, counted, print_json
from fumikura.cli.rates import Pace
from fumikura.core.page import Box


def test_the_pace_leaves_out_the_start_and_the_first_batch() -> None:
    pace = Pace()

    # The first batch is saved page by page within a second.
    seen = ((0.0, 0), (9.0, 0), (9.4, 1), (10.0, 4), (11.0, 4), (12.0, 8), (14.0, 12), (20.0, 12))
    for now_s, n_done in seen:
        pace.note(now_s, n_done)

    assert pace.pages_per_second == pytest.approx((12 - 4) / (14 - 10))


def test_one_batch_tells_no_pace() -> None:
    pace = Pace()

    pace.note(10.0, 1)
    pace.note(11.0, 4)

    assert pace.pages_per_second is None


def test_json_is_one_line_with_japanese_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"label": "人\n", "box": Box(1, 2, 3, 4), "at": datetime(2026, 1, 2, tzinfo=UTC)})

    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert "人" in line
    assert json.loads(line) == {
        "label": "人\n",
        "box": {"x": 1, "y": 2, "width": 3, "height": 4},
        "at": "2026-01-02T00:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (61.4, "1:01"), (59.6, "1:00"), (3723, "1:02:03")]
)
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert as_duration(seconds) == text


def test_nouns_follow_their_number() -> None:
    assert [counted(number, "page") for number in (0, 1, 1200)] == ["0 pages", "1 page", "1,200 pages"]
