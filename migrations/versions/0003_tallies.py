"""Keep counts of runs, recipes and pages by triggers, so that nobody counts millions of rows to tell them."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STATUSES = ("queued", "leased", "done", "failed", "quarantined", "cancelled")
_OF_RUN = (*_STATUSES, "skipped", "characters")
_TALLIES = {
    "run_tally": ("run", _OF_RUN),
    "recipe_tally": ("recipe", _STATUSES),
    "page_tally": (None, ("pages",)),
}
_TABLES = ("reading", "run_page", "page")

# What one reading adds to each count; {0} is its row, or that of its reading.
_ADDS = {status: f"CAST({{0}}.status = '{status}' AS INTEGER)" for status in _STATUSES}
_ADDS_TO_RUN = {
    **_ADDS,
    "skipped": "CAST({1}.was_done AS INTEGER)",
    "characters": "coalesce({0}.n_characters, 0)",
}


def upgrade() -> None:
    for name, (owner, counts) in _TALLIES.items():
        _create_tally(name, owner, counts)
    for statement in _FIRST_COUNTS:
        op.execute(statement)
    statements = _sqlite_triggers() if op.get_context().dialect.name == "sqlite" else _postgresql_triggers()
    for statement in statements:
        op.execute(sa.text(statement.replace(":", "\\:")))


def downgrade() -> None:
    is_sqlite = op.get_context().dialect.name == "sqlite"
    for table in _TABLES:
        for event in ("INSERT", "UPDATE", "DELETE"):
            on_table = "" if is_sqlite else f" ON {table}"
            op.execute(f"DROP TRIGGER IF EXISTS tally_{table}_{event.lower()}{on_table}")
            if not is_sqlite:
                op.execute(f"DROP FUNCTION IF EXISTS tally_{table}_{event.lower()}()")
    if is_sqlite:
        for table in ("run", "recipe"):
            op.execute(f"DROP TRIGGER tally_{table}_insert")
    for name in _TALLIES:
        op.drop_table(name)


def _create_tally(name: str, owner: str | None, counts: tuple[str, ...]) -> None:
    keys = ["slot"] if owner is None else [f"{owner}_id", "slot"]
    columns = [sa.Column(key, sa.Integer(), autoincrement=False, nullable=False) for key in keys]
    columns += [sa.Column(count, sa.BigInteger(), nullable=False) for count in counts]
    constraints: list[sa.Constraint] = [sa.PrimaryKeyConstraint(*keys, name=f"pk_{name}")]
    if owner is not None:
        foreign_key = f"fk_{name}_{owner}_id_{owner}"
        constraints.append(
            sa.ForeignKeyConstraint([f"{owner}_id"], [f"{owner}.id"], name=foreign_key, ondelete="CASCADE")
        )
    op.create_table(name, *columns, *constraints, postgresql_with={"fillfactor": "50"})


def _sums(adds: dict[str, str], *rows: str) -> str:
    return ", ".join(f"coalesce(sum({add.format(*rows)}), 0)" for add in adds.values())


_FIRST_COUNTS = (
    f"""
    INSERT INTO run_tally (run_id, slot, {", ".join(_OF_RUN)})
    SELECT run.id, 0, {_sums(_ADDS_TO_RUN, "reading", "run_page")}
    FROM run LEFT JOIN run_page ON run_page.run_id = run.id
    LEFT JOIN reading ON reading.page_id = run_page.page_id AND reading.recipe_id = run.recipe_id
    GROUP BY run.id
    """,
    f"""
    INSERT INTO recipe_tally (recipe_id, slot, {", ".join(_STATUSES)})
    SELECT recipe.id, 0, {_sums(_ADDS, "reading")}
    FROM recipe LEFT JOIN reading ON reading.recipe_id = recipe.id GROUP BY recipe.id
    """,
    "INSERT INTO page_tally (slot, pages) SELECT 0, count(*) FROM page",
)


def _sqlite_triggers() -> Iterator[str]:
    """SQLite has one writer: each row that changes adds to the one row of each tally."""
    zeros = {owner: ", ".join("0" for _ in counts) for owner, counts in _TALLIES.values()}
    for owner in ("run", "recipe"):
        yield f"""CREATE TRIGGER tally_{owner}_insert AFTER INSERT ON {owner} BEGIN
            INSERT INTO {owner}_tally VALUES (NEW.id, 0, {zeros[owner]}); END"""
    signs = {"INSERT": (("+", "NEW"),), "UPDATE": (("+", "NEW"), ("-", "OLD")), "DELETE": (("-", "OLD"),)}
    for event, changes in signs.items():
        row = changes[0][1]
        of, when = "", ""
        if event == "UPDATE":
            of = "OF status, n_characters"
            when = "WHEN OLD.status <> NEW.status OR OLD.n_characters IS NOT NEW.n_characters"
        yield f"""CREATE TRIGGER tally_reading_{event.lower()} AFTER {event} {of} ON reading {when} BEGIN
            UPDATE recipe_tally SET {_changed(_ADDS, changes)} WHERE recipe_id = {row}.recipe_id;
            UPDATE run_tally SET {_changed({**_ADDS, "characters": _ADDS_TO_RUN["characters"]}, changes)}
            WHERE run_id IN (
                SELECT run.id FROM run_page JOIN run ON run.id = run_page.run_id
                WHERE run_page.page_id = {row}.page_id AND run.recipe_id = {row}.recipe_id); END"""
    for event, sign, row in (("INSERT", "+", "NEW"), ("DELETE", "-", "OLD")):
        adds = {name: add.replace("{1}", row) for name, add in _ADDS_TO_RUN.items()}
        yield f"""CREATE TRIGGER tally_run_page_{event.lower()} AFTER {event} ON run_page BEGIN
            UPDATE run_tally SET {_changed(adds, ((sign, "asked"),))}
            FROM (SELECT reading.status, reading.n_characters FROM run JOIN reading
                ON reading.recipe_id = run.recipe_id AND reading.page_id = {row}.page_id
                WHERE run.id = {row}.run_id) AS asked
            WHERE run_tally.run_id = {row}.run_id; END"""
        yield f"""CREATE TRIGGER tally_page_{event.lower()} AFTER {event} ON page BEGIN
            UPDATE page_tally SET pages = pages {sign} 1; END"""


def _changed(adds: dict[str, str], changes: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(
        f"{name} = {name} " + " ".join(f"{sign} {add.format(row)}" for sign, row in changes)
        for name, add in adds.items()
    )


def _postgresql_triggers() -> Iterator[str]:
    """PostgreSQL adds up what a statement changed, and then once to its own slot of each tally."""
    new, old = ("after_rows", 1), ("before_rows", -1)
    for event, changes in {"INSERT": (new,), "UPDATE": (new, old), "DELETE": (old,)}.items():
        rows = " UNION ALL ".join(
            f"SELECT page_id, recipe_id, status, n_characters, {sign} AS sign FROM {table}"
            for table, sign in changes
        )
        yield _function("reading", event, f"{_add_to_recipes(rows)}; {_add_to_runs(rows)};")
        yield _trigger("reading", event, [table for table, _ in changes])
    for event, (table, sign) in {"INSERT": new, "DELETE": old}.items():
        yield _function("run_page", event, _add_requests(table, sign))
        yield _trigger("run_page", event, [table])
        yield _function(
            "page", event, _upsert("page", f"SELECT pg_backend_pid(), {sign} * count(*) FROM {table}")
        )
        yield _trigger("page", event, [table])


def _function(table: str, event: str, body: str) -> str:
    # Whatever a session's plans were made for: a few rows that changed find theirs by the indexes.
    return f"""CREATE FUNCTION tally_{table}_{event.lower()}() RETURNS trigger LANGUAGE plpgsql
        SET enable_hashjoin = off SET enable_mergejoin = off
        AS $$ BEGIN {body.rstrip("; ")}; RETURN NULL; END $$"""


def _trigger(table: str, event: str, transition: list[str]) -> str:
    names = {"after_rows": "NEW TABLE AS after_rows", "before_rows": "OLD TABLE AS before_rows"}
    return f"""CREATE TRIGGER tally_{table}_{event.lower()} AFTER {event} ON {table}
        REFERENCING {" ".join(names[one] for one in transition)}
        FOR EACH STATEMENT EXECUTE FUNCTION tally_{table}_{event.lower()}()"""


def _upsert(owner: str, query: str) -> str:
    name, (of, counts) = f"{owner}_tally", _TALLIES[f"{owner}_tally"]
    keys = ["slot"] if of is None else [f"{of}_id", "slot"]
    added = ", ".join(f"{count} = {name}.{count} + excluded.{count}" for count in counts)
    return f"""INSERT INTO {name} ({", ".join((*keys, *counts))}) {query}
        ON CONFLICT ({", ".join(keys)}) DO UPDATE SET {added}"""


def _add_to_recipes(rows: str) -> str:
    sums = ", ".join(f"sum(sign * {add.format('changed')})" for add in _ADDS.values())
    changed = " OR ".join(f"sum(sign * {add.format('changed')}) <> 0" for add in _ADDS.values())
    return _upsert(
        "recipe",
        f"""SELECT recipe_id, pg_backend_pid(), {sums} FROM ({rows}) AS changed
        GROUP BY recipe_id HAVING {changed}""",
    )


def _add_to_runs(rows: str) -> str:
    adds = {**_ADDS, "characters": _ADDS_TO_RUN["characters"]}
    sums = {name: f"sum(sign * {add.format('changed')})" for name, add in adds.items()}
    # A lease that is renewed changes no count: then no run is looked for.
    by_reading = f"""SELECT page_id, recipe_id, {", ".join(f"{add} AS {name}" for name, add in sums.items())}
        FROM ({rows}) AS changed GROUP BY page_id, recipe_id
        HAVING {" OR ".join(f"{add} <> 0" for add in sums.values())}"""
    totals = ", ".join(f"sum(net.{name})" if name != "skipped" else "0" for name in _OF_RUN)
    return _upsert(
        "run",
        f"""SELECT run.id, pg_backend_pid(), {totals} FROM ({by_reading}) AS net
        JOIN run_page ON run_page.page_id = net.page_id
        JOIN run ON run.id = run_page.run_id AND run.recipe_id = net.recipe_id GROUP BY run.id""",
    )


def _add_requests(table: str, sign: int) -> str:
    """Count the readings that a run begins to ask for; none of them may change before the run is seen."""
    joined = f"""{table} AS asked JOIN run ON run.id = asked.run_id
        JOIN reading ON reading.page_id = asked.page_id AND reading.recipe_id = run.recipe_id"""
    sums = ", ".join(f"{sign} * sum({add.format('reading', 'asked')})" for add in _ADDS_TO_RUN.values())
    return f"""PERFORM 1 FROM {joined} WHERE reading.status <> 'done'
        ORDER BY reading.id FOR SHARE OF reading;
        {_upsert("run", f"SELECT run.id, pg_backend_pid(), {sums} FROM {joined} GROUP BY run.id")}"""
