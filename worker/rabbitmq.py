"""RabbitMQ needs a few settings of its own, which stand here."""

from __future__ import annotations

from typing import Any

from kombu.connection import Connection
from kombu.entity import Exchange, Queue

#: A message waits in its worker's hands for as long as the database is away, which may be hours.
LONGEST_TURN_MS = 24 * 3600 * 1000
#: A recipe's queue that nobody asks for is deleted after so long; its pages wait in the database.
UNUSED_QUEUE_MS = 7 * 24 * 3600 * 1000


def is_rabbitmq(url: str) -> bool:
    return url.startswith(("amqp", "pyamqp"))


def rabbitmq_queue(name: str) -> Queue:
    """Describe a durable classic queue.

    Not a quorum queue, which writes each message to the disks of several nodes and drops one that came
    back twenty times: while pages wait, messages that were lost are sent again, and the database counts
    attempts by itself. Nor is the choice left to the virtual host, because Celery asks for messages in
    another way where it is "quorum".
    """
    return Queue(  # type: ignore[no-untyped-call]
        name,
        Exchange("fumikura"),  # type: ignore[no-untyped-call]
        routing_key=name,
        queue_arguments={"x-queue-type": "classic", "x-expires": UNUSED_QUEUE_MS},
        # Else RabbitMQ (3.12 to 4.2) takes the message back after half an hour, and cuts the worker off.
        consumer_arguments={"x-consumer-timeout": LONGEST_TURN_MS},
    )


#: So that a message that RabbitMQ did not take does not count as sent. Only where somebody waits for an
#: answer: a worker's own connections must not stand still while RabbitMQ takes nothing from anybody.
CONFIRMED: dict[str, Any] = {"confirm_publish": True}


def answer_within(connection: Connection, seconds: float) -> None:
    """Let every wait for an answer end in an error.

    RabbitMQ reads from nobody while its memory or its disk is full, and a close waits for an answer too.
    """
    connection.connection.sock.settimeout(seconds)
