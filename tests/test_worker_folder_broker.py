"""A folder as a broker."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu.connection import Connection

from fumikura.worker import folder_broker


def open_connection(path: Path, options: dict[str, Any]) -> Connection:
    return Connection(folder_broker.folder_url(path), transport_options=options)  # type: ignore[no-untyped-call]


@pytest.fixture
def connections(tmp_path: Path) -> Iterator[list[Connection]]:
    folder_broker.register()
    options = {"folder": str(tmp_path), "polling_interval": 0.01}
    opened = [open_connection(tmp_path, options) for _ in range(4)]
    yield opened
    for connection in opened:
        connection.close()  # type: ignore[no-untyped-call]


def open_queue(connection: Connection, name: str = "pages") -> Any:
    return connection.SimpleQueue(name)  # type: ignore[no-untyped-call]


def take_all(queue: Any) -> list[int]:
    taken: list[int] = []
    while True:
        try:
            message = queue.get(timeout=0.3)
        except Empty:
            return taken
        message.ack()
        taken.append(message.payload["n"])


def test_messages_come_out_once_and_in_order(connections: list[Connection]) -> None:
    sender, receiver = map(open_queue, connections[:2])
    for number in range(12):
        sender.put({"n": number})

    assert take_all(receiver) == list(range(12))


def test_of_several_receivers_each_message_reaches_one(connections: list[Connection]) -> None:
    sender, *receivers = map(open_queue, connections)
    for number in range(200):
        sender.put({"n": number})

    with ThreadPoolExecutor(len(receivers)) as threads:
        taken = list(threads.map(take_all, receivers))

    assert sorted(number for numbers in taken for number in numbers) == list(range(200))


def test_a_message_not_confirmed_is_back_when_its_receiver_ends(
    connections: list[Connection],
) -> None:
    sender, receiver, other = map(open_queue, connections[:3])
    sender.put({"n": 7})
    receiver.get(timeout=1)

    connections[1].close()  # type: ignore[no-untyped-call]

    assert take_all(other) == [7]


def test_a_message_being_written_is_not_seen(connections: list[Connection], tmp_path: Path) -> None:
    receiver = open_queue(connections[0])
    (tmp_path / "1-a.unfinished").write_text('{"half":')

    assert take_all(receiver) == []
    assert [path.name for path in tmp_path.iterdir()] == ["1-a.unfinished"]


def test_messages_of_another_queue_stay(connections: list[Connection]) -> None:
    sender, receiver = open_queue(connections[0], "fumikura.abc"), open_queue(connections[1], "abc")
    sender.put({"n": 1})

    assert take_all(receiver) == []
    assert len(sender) == 1


def test_only_the_url_of_a_folder_names_one(tmp_path: Path) -> None:
    assert folder_broker.folder_of(folder_broker.folder_url(tmp_path)) == tmp_path
    assert folder_broker.folder_of("redis://localhost/0") is None
