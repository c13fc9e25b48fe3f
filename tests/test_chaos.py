"""The chaos suite in short: what `make chaos` does with 2,000 pages, here with 80 and a quick reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from fumikura.core.settings import Settings
from tests.chaos import disasters, faults
from tests.chaos.storm import Plan, run_storm
from tests.chaos.worker import POISONS


@pytest.mark.slow
@pytest.mark.parametrize("broker", ["redis", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
@pytest.mark.timeout(600)  # a minute on an idle machine
def test_whatever_breaks_each_page_is_read_once_or_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broker: str
) -> None:
    monkeypatch.setenv("CHAOS_QUICK", "1")
    monkeypatch.setenv("CHAOS_READ_LOG", str(tmp_path / "peace.log"))
    settings = Settings().overridden(
        devices="cpu",
        lease_s=8.0,
        page_time_limit_s=2.0,
        pages_per_batch=2,
        chunk_size=4,
        threads=1,
    )
    plan = Plan(
        seed=1,
        n_pages=80,
        n_poison=2,
        n_workers=2,
        blows=(
            (faults.kill_worker, 1),
            (faults.empty_broker, 1),
            (faults.restart_database, 1),
            (faults.double_messages, 1),
            (disasters.lose_mount, 1),
            (disasters.set_clock_back, 1),
            (disasters.two_operators, 1),
        ),
        database_survives=False,
        settings=settings,
        time_limit_s=240,
        broker=broker,
    )

    outcome = run_storm(plan, tmp_path, say=print)

    assert outcome.wrong == []
    assert (outcome.n_done, outcome.n_quarantined, outcome.n_lost, outcome.n_doubled) == (78, 2, 0, 0)
    assert outcome.n_different == 0
    assert set(outcome.reasons) < set(POISONS)
    assert len(outcome.faults) == 7
