"""Keep a row for each worker process: who reads, who waits and why, and what nobody can read.

Leases do not hang on it: a row says what its worker was last heard to do; one that is heard no more is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, case, delete, func, not_, select, update

from fumikura.core.store import tables
from fumikura.core.store.tables import Status
from fumikura.core.store.transactions import brief_transaction, moment, now, read_transaction, upsert

#: A worker is heard of at least this often.
BEAT_S = 10.0
#: Not heard of for so long, it is gone: its host, its network, or it hangs.
GONE_S = 60.0
#: How long one that is gone is still shown.
_KEPT_S = 3600.0


_AS_WRITTEN = ("name", "host", "device", "recipe_digest", "run_id", "seen_at", "started_at", "n_done")


class State(StrEnum):
    """The state says what a worker does."""

    STARTING = "starting"
    IDLE = "idle"
    READING = "reading"
    PAUSED = "paused"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Card:
    """A card says who a worker is.

    Attributes:
        name: under which it leases pages, unlike any other.
        label: for people, such as `vm-3/cuda:0`.
        run_id: the run that it reads alone; None for one that reads all that waits for its recipe.
    """

    name: str
    label: str
    host: str
    device: str
    recipe_digest: str
    run_id: int | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """This is a worker as it was last heard of, or of which nothing is known but the pages that it holds.

    Attributes:
        state: None where nothing was ever heard of it.
        reason: why it is paused.
        state_s: seconds for which it has been in its state.
        seen_s: seconds since it was heard of.
        seen_at, started_at: None where it never was.
        n_done: pages that it has read since it started.
        n_pages: pages that it holds.
        lease_ends_s: seconds until the last of its leases ends; None without any.
    """

    worker: str
    name: str
    host: str
    device: str
    recipe_digest: str | None
    run_id: int | None
    state: State | None
    reason: str | None
    state_s: float | None
    seen_s: float | None
    seen_at: datetime | None
    started_at: datetime | None
    n_done: int
    n_pages: int
    lease_ends_s: float | None


@dataclass(frozen=True, slots=True)
class Unread:
    """This is a recipe for which pages wait, and that no live worker reads."""

    recipe_digest: str
    segmenter_digest: str
    classifier_digest: str
    parameters: Mapping[str, Any]
    version: int
    n_pages: int


def note_worker(engine: Engine, card: Card, state: State, *, reason: str | None, n_done: int) -> None:
    """Note that a worker lives, and what it does; the row is made where there is none.

    One that starts takes the place of those of the same label that ended.
    """
    worker = tables.worker.c
    with brief_transaction(engine) as connection:
        if state is State.STARTING:
            is_replaced = (worker.label == card.label) & (worker.name != card.name)
            connection.execute(delete(tables.worker).where(is_replaced, worker.state == State.STARTING))
        time = moment(connection)
        values = {**asdict(card), "state": state, "reason": reason, "n_done": n_done, "seen_at": time}
        statement = upsert(connection, tables.worker).values(**values, since=time, started_at=time)
        is_same = worker.state == state
        changed = {**values, "since": case((is_same, worker.since), else_=time)}
        connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))


def note_end(engine: Engine, name: str, reason: str) -> None:
    """Note that a worker ended and another is to start; until then its host counts as one that reads."""
    with brief_transaction(engine) as connection:
        time = moment(connection)
        values = {"state": State.STARTING, "reason": reason, "since": time, "seen_at": time}
        connection.execute(update(tables.worker).where(tables.worker.c.name == name).values(values))


def remove_worker(engine: Engine, name: str) -> None:
    """Remove the row of a worker that ended, and those of which nothing was heard for an hour."""
    worker = tables.worker.c
    with brief_transaction(engine) as connection:
        is_old = worker.seen_at < now(connection) - timedelta(seconds=_KEPT_S)
        connection.execute(delete(tables.worker).where((worker.name == name) | is_old))


def worker_names(engine: Engine) -> list[str]:
    """List the names of all workers that have a row."""
    with read_transaction(engine) as connection:
        return list(connection.scalars(select(tables.worker.c.name).order_by(tables.worker.c.name)))


def list_workers(engine: Engine) -> list[Worker]:
    """List the workers, those that are gone too, and whoever else holds pages; by the database's clock."""
    reading = tables.reading.c
    held = (
        select(reading.worker, func.count(), func.max(reading.lease_until))
        .where(reading.status == Status.LEASED)
        .group_by(reading.worker)
    )
    with read_transaction(engine) as connection:
        time = now(connection)
        rows = connection.execute(select(tables.worker).order_by(tables.worker.c.label)).mappings().all()
        hands = {name: (n_pages, until) for name, n_pages, until in connection.execute(held)}
    known = [_worker(row, time, hands.pop(row["name"], None)) for row in rows]
    # Of what reads in the name of no process (tests, scripts) only leases are known.
    return known + [_stranger(name, hand, time) for name, hand in sorted(hands.items()) if name is not None]


def live_hosts(connection: Connection, recipe_digest: str) -> set[str]:
    """List the hosts on which workers read all that waits for a recipe, or are about to.

    So do, where the database's clock was set back, those that were heard in its future: who lives is heard
    again soon, and until then nobody is to be taken for the last one.
    """
    worker = tables.worker.c
    serves = select(worker.host).where(
        worker.seen_at > now(connection) - timedelta(seconds=GONE_S),
        worker.recipe_digest == recipe_digest,
        worker.run_id.is_(None),
    )
    return set(connection.scalars(serves))


def unread_recipes(engine: Engine, *, recipe_digest: str | None = None) -> list[Unread]:
    """List the recipes for which pages wait, and that no live worker reads, with the number of pages.

    Pages of a run that reads with workers of its own count as read.

    Args:
        recipe_digest: this one alone.
    """
    recipe, worker, tally = tables.recipe.c, tables.worker.c, tables.recipe_tally.c
    n_pages = (
        select(func.coalesce(func.sum(tally.queued), 0))
        .where(tally.recipe_id == recipe.id)
        .correlate(tables.recipe)
        .scalar_subquery()
    )
    columns = (recipe.digest, recipe.segmenter_digest, recipe.classifier_digest, recipe.parameters)
    with read_transaction(engine) as connection:
        read = select(worker.recipe_digest).where(_is_live(connection))
        wanted = select(*columns, recipe.version, n_pages).where(not_(recipe.digest.in_(read)))
        if recipe_digest is not None:
            wanted = wanted.where(recipe.digest == recipe_digest)
        return [
            Unread(*row[:-1], n_pages=int(row[-1]))
            for row in connection.execute(wanted.order_by(recipe.id))
            if row[-1]
        ]


def short_name(name: str) -> str:
    """Shorten the unique name of a worker to host/pid, for people."""
    host, _, rest = name.partition("/")
    pid = rest.partition("/")[0]
    return f"{host.partition(':')[0]}/{pid}" if pid else name


def _is_live(connection: Connection) -> ColumnElement[bool]:
    time, span = now(connection), timedelta(seconds=GONE_S)
    # Nobody was heard of in the future: there, the clock was set back since.
    return tables.worker.c.seen_at.between(time - span, time + span)


def _worker(row: Any, time: datetime, hand: tuple[int, datetime] | None) -> Worker:
    seen_s = (time - row["seen_at"]).total_seconds()
    is_gone = abs(seen_s) > GONE_S
    return Worker(
        worker=row["label"],
        state=State.GONE if is_gone else State(row["state"]),
        reason=None if is_gone else row["reason"],
        state_s=max(0.0, seen_s if is_gone else (time - row["since"]).total_seconds()),
        seen_s=max(0.0, seen_s),
        n_pages=hand[0] if hand else 0,
        lease_ends_s=max(0.0, (hand[1] - time).total_seconds()) if hand else None,
        **{name: row[name] for name in _AS_WRITTEN},
    )


def _stranger(name: str, hand: tuple[int, datetime], time: datetime) -> Worker:
    unknown = ("recipe_digest", "run_id", "state", "reason", "state_s", "seen_s", "seen_at", "started_at")
    label = short_name(name)
    lease_ends_s = max(0.0, (hand[1] - time).total_seconds())
    return Worker(
        worker=label,
        name=name,
        host=label.partition("/")[0],
        device="",
        n_done=0,
        n_pages=hand[0],
        lease_ends_s=lease_ends_s,
        **dict.fromkeys(unknown),
    )
