"""This module holds every setting of Celery, and speaks to the broker where Celery does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from fumikura.core.errors import BrokerError, first_line
from fumikura.core.recognition.recipe import Recipe
from fumikura.core.settings import Settings
from fumikura.worker import folder_broker
from fumikura.worker.patience import PATIENT_CONSUMER
from fumikura.worker.rabbitmq import CONFIRMED, answer_within, is_rabbitmq, rabbitmq_queue

READ_WAITING = "fumikura.read_waiting"

#: Seconds in which a broker must answer whoever cannot wait for it.
ANSWER_S = 4.0


#: What kombu raises for a URL that it cannot understand.
_NO_URL = (LookupError, ValueError, TypeError, ImportError)


def queue_name(recipe: Recipe) -> str:
    """Name the queue of a recipe, so that a worker gets only what its weights can read."""
    return f"fumikura.{recipe.digest[:12]}"


def make_app(settings: Settings, recipe: Recipe) -> Celery:
    """Make the Celery application through which the pages of one recipe are read."""
    url = settings.broker_url or ""
    path = folder_broker.folder_of(url)
    queue, is_rabbit = queue_name(recipe), is_rabbitmq(url)
    folder_broker.register()
    app = Celery("fumikura", broker=url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        task_ignore_result=True,  # the row in the database is the result
        task_default_queue=queue,
        task_queues=[rabbitmq_queue(queue)] if is_rabbit else None,
        # A message is confirmed after the work, and nobody hoards: it wakes whoever is free.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        # With a server, remote control stays on: without it a worker can sleep for ever after
        # the broker was started anew. A folder has no such trouble, and no broadcasts either.
        worker_enable_remote_control=path is None,
        worker_send_task_events=path is None,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # An answer that says no is waited out too: a Redis that takes no writes (a failover, a full memory or
        # disk), a RabbitMQ whose node with the queue is away. To Celery they would be the worker's end.
        broker_channel_error_retry=True,
        worker_consumer=PATIENT_CONSUMER,
        broker_connection_timeout=ANSWER_S,
        broker_transport_options=_transport_options(url, path),
    )
    return app


def _transport_options(url: str, path: Path | None) -> dict[str, Any]:
    if path is not None:
        return {"folder": str(path), "polling_interval": 0.1}
    if url.startswith(("redis", "sentinel")):
        return {"socket_connect_timeout": ANSWER_S, "socket_keepalive": True}
    return {}


@contextmanager
def reached(app: Celery) -> Iterator[Connection]:
    """Open a fresh connection to the broker, so that none is left over from before an outage.

    Raises:
        BrokerError: the broker does not answer, or its URL cannot be understood.
    """
    shown = _without_password(app.conf.broker_url)
    try:
        is_rabbit = is_rabbitmq(app.conf.broker_url)
        connection: Connection = app.connection_for_write(transport_options=CONFIRMED if is_rabbit else None)
        failures = (
            OperationalError,
            OSError,
            *connection.connection_errors,
            *connection.channel_errors,
        )
    except _NO_URL:
        raise _no_queue(shown) from None
    try:
        with connection:
            try:
                connection.ensure_connection(  # type: ignore[no-untyped-call]
                    max_retries=1, interval_start=0.1, timeout=ANSWER_S
                )
            except _NO_URL:  # of some parts of it kombu notices late
                raise _no_queue(shown) from None
            if is_rabbit:
                answer_within(connection, ANSWER_S)
            yield connection
    except failures as error:
        raise BrokerError(
            f"the queue {shown} does not answer ({first_line(error)}); start its server, or correct --broker"
        ) from error


def _no_queue(shown: str) -> BrokerError:
    """Make an error to be raised without its cause, whose message may quote a piece of the password."""
    return BrokerError(f"{shown} is no queue; set --broker, such as redis://host/0")


def n_waiting(app: Celery, connection: Connection) -> int:
    """Count the messages that no worker has taken yet."""
    try:
        with connection.channel() as channel:  # type: ignore[no-untyped-call]
            queue = channel.queue_declare(app.conf.task_default_queue, passive=True)
    except connection.channel_errors:
        return 0  # nobody has sent anything to this queue yet
    return int(queue.message_count)


def wake(
    app: Celery, connection: Connection, recipe: Recipe, n_workers: int, *, run_id: int | None = None
) -> None:
    """Send so many messages that pages wait for a recipe, or of one run alone; each wakes one worker."""
    for _ in range(n_workers):
        app.send_task(READ_WAITING, args=[recipe.digest, run_id], connection=connection, retry=False)


def check_broker(settings: Settings) -> str:
    """Try the broker, and say in a few words how it is.

    Raises:
        BrokerError: it does not answer.
    """
    if settings.broker_url is None:
        return "none set; `fumikura run` brings its own queue"
    with reached(make_app(settings, Recipe("", ""))):
        return f"{_without_password(settings.broker_url)} answers"


def _without_password(urls: str) -> str:
    """Return broker URLs, separated by semicolons, as people may see them."""
    return ";".join(map(_shown, re.split(r";(?=[^;@]+://)", urls)))


def _shown(url: str) -> str:
    parts = urlsplit(url)
    if "@" in parts.path + parts.query + parts.fragment:
        return f"{parts.scheme}://..."  # a password with a / in it, say: no other part is safe to show
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
