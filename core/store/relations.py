"""Keep the parts of statements that several queries share: how the tables belong together."""

from __future__ import annotations

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    ScalarSelect,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    not_,
    select,
    tuple_,
)

from fumikura.core.errors import FumikuraError
from fumikura.core.store.tables import (
    Status,
    learnt_page,
    page,
    page_source,
    reading,
    recipe,
    run,
    run_page,
    score,
    truth,
)

#: Each run with the readings that it asks for, and once without if it asks for none.
readings_of_runs = run.outerjoin(run_page).outerjoin(
    reading, and_(reading.c.page_id == run_page.c.page_id, reading.c.recipe_id == run.c.recipe_id)
)

#: Each page that has truth, with its readings and their scores. Outer joins, lest SQLite begins with the
#: readings: few pages have truth.
readings_with_truth = truth.outerjoin(reading, reading.c.page_id == truth.c.page_id).outerjoin(
    score, score.c.reading_id == reading.c.id
)

# The status is written out in the statement and not sent beside it: only so does a database know that the
# small index of the rows in that status will do (`_index_of` in tables.py).
IS_QUEUED = reading.c.status == literal(Status.QUEUED, reading.c.status.type, literal_execute=True)
IS_LEASED = reading.c.status == literal(Status.LEASED, reading.c.status.type, literal_execute=True)


def asked_by(run_id: int) -> ColumnElement[bool]:
    """Make the condition that a run asks for a reading."""
    recipe_id = select(run.c.recipe_id).where(run.c.id == run_id).scalar_subquery()
    pages = select(run_page.c.page_id).where(run_page.c.run_id == run_id)
    return and_(reading.c.recipe_id == recipe_id, reading.c.page_id.in_(pages))


def begins_with(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Make the condition that a digest begins so, which an index answers where LIKE has to look at each."""
    # What follows in a digest is 0 to f.
    return and_(column >= prefix, column < f"{prefix}g")


def is_asked_by(run_id: int) -> ColumnElement[bool]:
    """Make the condition that a run asks for a reading, to be asked of each of a few readings.

    `asked_by` says the same, but lets a database list all pages of the run first. OFFSET 0 is there for
    PostgreSQL, which would else make a join of this, and begin with a run that it believes to be small.
    """
    asking = select(run.c.id).join(run_page, run_page.c.run_id == run.c.id)
    is_its_own = and_(run_page.c.page_id == reading.c.page_id, run.c.recipe_id == reading.c.recipe_id)
    return exists(asking.where(run.c.id == run_id, is_its_own).correlate(reading).offset(0))


def is_near_run(page_id: ColumnElement[int], run_id: int) -> ColumnElement[bool]:
    """Make the condition that a page lies between the first and the last that a run asks for.

    The pages of a run mostly came one after the other, so that few others have to be looked at.
    """
    # By two bounds, and not by an equality or min and max: for these PostgreSQL may walk along the index of
    # page_id, through all pages of the runs before.
    asked = (
        select(run_page.c.page_id).where(run_page.c.run_id >= run_id, run_page.c.run_id <= run_id).limit(1)
    )
    first = asked.order_by(run_page.c.run_id, run_page.c.page_id)
    last = asked.order_by(run_page.c.run_id.desc(), run_page.c.page_id.desc())
    return page_id.between(first.scalar_subquery(), last.scalar_subquery())


def is_done_too(of: FromClause = reading) -> ColumnElement[bool]:
    """Make the condition that a reading is done, to be asked of a few that an outer join gives.

    Said like this, SQLite keeps the join an outer one, and begins with what stands before it.
    """
    return func.coalesce(of.c.status, "") == Status.DONE


def is_leased_to(worker: str) -> ColumnElement[bool]:
    """Make the condition that a worker holds a reading."""
    return and_(IS_LEASED, reading.c.worker == worker)


def is_asked_for(
    *, but_by_run: int | None = None, since_run: int | None = None, or_was: bool = False
) -> ColumnElement[bool]:
    """Make the condition that some run asks for a reading and was not cancelled.

    Args:
        but_by_run: another run than this one.
        since_run: a newer run than this one.
        or_was: by a run that was cancelled will do.
    """
    # + 0, lest SQLite looks through all runs of the recipe instead of those that ask for the page.
    asking = (
        select(run.c.id)
        .join(run_page, run_page.c.run_id == run.c.id)
        .where(run.c.recipe_id + 0 == reading.c.recipe_id, run_page.c.page_id == reading.c.page_id)
        .correlate(reading)
    )
    if not or_was:
        asking = asking.where(run.c.cancelled_at.is_(None))
    if but_by_run is not None:
        asking = asking.where(run.c.id != but_by_run)
    if since_run is not None:
        asking = asking.where(run.c.id > since_run)
    return exists(asking)


def newest_source() -> ScalarSelect[int]:
    """Choose the id of the place where the statement's page was seen last."""
    return (
        select(page_source.c.id)
        .where(page_source.c.page_id == page.c.id)
        .order_by(page_source.c.seen_at.desc(), page_source.c.id.desc())
        .limit(1)
        .correlate(page)
        .scalar_subquery()
    )


def newest_run() -> ScalarSelect[int | None]:
    """Choose the id of the newest run that asks for the statement's reading; NULL if none does any more."""
    return (
        select(func.max(run.c.id))
        .join(run_page, run_page.c.run_id == run.c.id)
        .where(run_page.c.page_id == reading.c.page_id, run.c.recipe_id + 0 == reading.c.recipe_id)
        .correlate(reading)
        .scalar_subquery()
    )


def is_newest_done(
    *, recipe_prefix: str | None = None, run_id: int | None = None, of_few: bool = False
) -> ColumnElement[bool]:
    """Make the condition that no reading of the page was done after this one, by a recipe or run if given.

    Args:
        of_few: it is asked of a few readings that an outer join gives (`is_done_too`, `is_asked_by`).

    `shown_reading` says the same of pages. But PostgreSQL takes an equality with a subquery
    for very selective, and would begin a search with all pages instead of with the label.
    """
    newer = reading.alias("newer")
    is_newer = and_(
        newer.c.page_id == reading.c.page_id,
        is_done_too(newer) if of_few else newer.c.status == Status.DONE,
        tuple_(newer.c.finished_at, newer.c.id) > tuple_(reading.c.finished_at, reading.c.id),
    )
    is_done = is_done_too() if of_few else reading.c.status == Status.DONE
    if run_id is not None:
        is_done = and_(is_done, is_asked_by(run_id) if of_few else asked_by(run_id))
        is_newer = and_(is_newer, newer.c.recipe_id == reading.c.recipe_id)
    if recipe_prefix is not None:
        wanted = _recipes(recipe_prefix)
        recipe_id = func.coalesce(reading.c.recipe_id, 0) if of_few else reading.c.recipe_id
        is_done = and_(is_done, recipe_id.in_(wanted))
        is_newer = and_(is_newer, newer.c.recipe_id.in_(wanted))
    newer_ones = select(newer.c.id).where(is_newer).correlate(reading)
    return and_(is_done, not_(exists(newer_ones.offset(0) if of_few else newer_ones)))


def shown_reading(*, recipe_prefix: str | None = None, run_id: int | None = None) -> ScalarSelect[int]:
    """Choose the id of the one reading that is shown for the statement's page.

    The newest that is done, or the newest if none is; only of a recipe or of a run, if given.
    """
    shown = select(reading.c.id).where(reading.c.page_id == page.c.id)
    if run_id is not None:
        shown = shown.where(is_asked_by(run_id))
    if recipe_prefix is not None:
        shown = shown.where(reading.c.recipe_id.in_(_recipes(recipe_prefix)))
    is_done = case((reading.c.status == Status.DONE, 1), else_=0)
    newest = shown.order_by(is_done.desc(), reading.c.finished_at.desc().nulls_last(), reading.c.id.desc())
    return newest.limit(1).correlate(page).scalar_subquery()


def _recipes(prefix: str) -> Select[tuple[int]]:
    return select(recipe.c.id).where(begins_with(recipe.c.digest, prefix))


def was_learnt() -> ColumnElement[bool]:
    """Make the condition that the weights of the statement's reading have learnt from its page."""
    learnt = select(learnt_page.c.digest).where(
        learnt_page.c.recipe_id == reading.c.recipe_id, learnt_page.c.digest == page.c.digest
    )
    return exists(learnt.correlate(reading, page))


def check_run(connection: Connection, run_id: int | None) -> None:
    """Raise a FumikuraError if there is no such run; None is every run."""
    if run_id is None:
        return
    # SQLite's driver takes no larger number, PostgreSQL's ids are no larger.
    if not 0 <= run_id < 2**31 or connection.scalar(select(run.c.id).where(run.c.id == run_id)) is None:
        raise no_run(run_id)


def no_run(run_id: int) -> FumikuraError:
    return FumikuraError(f"there is no run {run_id}; `fumikura status` lists the runs")
