"""Archives in an S3 store, which moto plays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import read_member
from fumikura.core.archives.urls import _file_system
from fumikura.core.errors import ArchiveError, PageError
from fumikura.core.limits import Limits
from tests.simple_archives import JPEG, make_tar_gz, make_zip

pytest.importorskip("s3fs", reason="s3fs is not installed")
moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")

Put = Callable[[str, bytes], None]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def put(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Puts a file into the bucket `shelf`."""
    import boto3

    variables = {"ENDPOINT_URL": endpoint, "ACCESS_KEY_ID": "reader", "SECRET_ACCESS_KEY": "sesame"}
    for name, value in {**variables, "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr("fumikura.core.archives.retrying.pause_s", lambda _n: 0.01)
    _file_system.cache_clear()
    client = boto3.client("s3")
    client.create_bucket(Bucket="shelf")

    def put_file(name: str, data: bytes) -> None:
        client.put_object(Bucket="shelf", Key=name, Body=data)

    return put_file


def test_a_prefix_is_a_folder_of_all_below_it(put: Put) -> None:
    for name in ("genji/", "genji/p10.jpg", "genji/巻 二/p%2.jpg", "genji/notes.txt", "genji2/p.jpg"):
        put(name, JPEG + name.encode())

    listing = list_pages(["s3://shelf/genji/"])

    assert [(page.member, page.book) for page in listing.pages] == [
        ("p10.jpg", "genji"),
        ("巻 二/p%2.jpg", "巻 二"),
    ]
    assert listing.n_ignored == 1
    assert read_member("s3://shelf/genji", "巻 二/p%2.jpg") == JPEG + "genji/巻 二/p%2.jpg".encode()


def test_packed_archives_are_read_in_place_and_anew_when_they_change(tmp_path: Path, put: Put) -> None:
    zipped, packed = make_zip(tmp_path, {"z.jpg": b"z"}), make_tar_gz(tmp_path, {"t.jpg": b"t"})
    put("books/a.zip", Path(zipped).read_bytes())
    put("books/b.tar.gz", Path(packed).read_bytes())

    listing = list_pages(["s3://shelf/books/*"])
    before = read_member("s3://shelf/books/a.zip", "z.jpg")
    put("books/a.zip", Path(make_zip(tmp_path, {"z.jpg": b"changed"})).read_bytes())

    assert [(page.archive, page.member) for page in listing.pages] == [
        ("s3://shelf/books/a.zip", "z.jpg"),
        ("s3://shelf/books/b.tar.gz", "t.jpg"),
    ]
    assert before == b"z"
    assert read_member("s3://shelf/books/a.zip", "z.jpg") == b"changed"


def test_a_page_over_the_limit_is_not_fetched(put: Put) -> None:
    put("large/p.jpg", JPEG * 100)

    (page,) = list_pages(["s3://shelf/large"], limits=Limits(max_file_bytes=1000)).pages

    assert page.size_bytes == 100 * len(JPEG)
    with pytest.raises(PageError, match="has more than 1,000 bytes"):
        read_member(page.archive, page.member, limits=Limits(max_file_bytes=1000))


@pytest.mark.parametrize("url", ["s3://shelf/none.zip", "s3://shelf/none.jpg", "s3://nowhere/genji"])
@pytest.mark.usefixtures("put")
def test_what_is_not_there_is_named(url: str) -> None:
    with pytest.raises(ArchiveError, match=f"{url} points to nothing or is gone"):
        list_pages([url])


def test_an_image_that_is_gone_is_a_page_error(put: Put) -> None:
    put("genji/p.jpg", JPEG)

    with pytest.raises(PageError, match=r"q\.jpg is no longer in s3://shelf/genji"):
        read_member("s3://shelf/genji", "q.jpg")
