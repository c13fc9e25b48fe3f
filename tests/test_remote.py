"""Archives behind URLs: listed and read as on a disk, within limits, and from nowhere that is not allowed."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

import fsspec
import pytest
from click.testing import CliRunner
from PIL import Image

from fumikura.cli.main import main
from fumikura.core.archives.addresses import is_public
from fumikura.core.archives.deadline import ends_within
from fumikura.core.archives.images import decode
from fumikura.core.archives.listing import list_pages
from fumikura.core.archives.places import archive_name, read_member
from fumikura.core.errors import ArchiveError, PageError, StorageError
from fumikura.core.limits import Limits
from fumikura.core.store.claiming import Claim
from fumikura.worker.decoding import decode_page
from tests.handmade import page_png
from tests.hostile import encode
from tests.simple_archives import JPEG, Make, make_tar, make_tar_gz, make_zip
from tests.web import Web

HERE = Limits(allow_private_addresses=True, patience_s=2)
pytestmark = pytest.mark.usefixtures("quick_web")

FILES = {"p10.jpg": JPEG + b"10", "p2.jpg": JPEG + b"2", "頁 1.png": b"\x89PNG", "notes.txt": b"no page"}


def listed(*archives: str, limits: Limits = HERE) -> list[str]:
    return [page.member for page in list_pages(archives, limits=limits).pages]


def read_claimed(archive: str, member: str, digest: str) -> bytes:
    """The pixels of a page as a worker gets them."""
    claimed = Claim(1, 1, archive, member, digest, 0, None)
    image = decode_page(claimed, long_side=160, max_pixels=10**6, limits=HERE).image
    return image.pixels.tobytes()


@pytest.mark.parametrize("make", [make_zip, make_tar, make_tar_gz])
def test_a_packed_archive_is_listed_and_read_as_on_a_disk(tmp_path: Path, web: Web, make: Make) -> None:
    path = make(tmp_path, FILES)
    url = f"{web.url}/a/{Path(path).name}"
    web.files[f"/a/{Path(path).name}"] = Path(path).read_bytes()

    there, here = list_pages([url], limits=HERE), list_pages([path])

    assert [(page.member, page.digest, page.size_bytes, page.book) for page in there.pages] == [
        (page.member, page.digest, page.size_bytes, page.book) for page in here.pages
    ]
    assert there.n_ignored == 1
    assert {page.archive for page in there.pages} == {url}
    assert read_member(url, "頁 1.png", limits=HERE) == b"\x89PNG"


def test_an_index_page_is_a_folder_of_the_files_right_below_it(web: Web) -> None:
    web.files |= {f"/book/{quote(name)}": data for name, data in FILES.items()}
    links = [
        *map(quote, FILES),
        "/book/deep/p3.jpg",
        "../p4.jpg",
        "p5.jpg?key=1",
        "https://example.org/p6.jpg",
        "http://[no-address",
    ]
    web.files["/book/"] = "".join(f"<A HREF='{link}'>scan</A>" for link in links).encode()

    listing = list_pages([f"{web.url}/book"], limits=HERE)

    assert [page.member for page in listing.pages] == ["p2.jpg", "p10.jpg", "頁 1.png"]
    assert {(page.archive, page.book) for page in listing.pages} == {(f"{web.url}/book", "book")}
    assert read_member(f"{web.url}/book", "頁 1.png", limits=HERE) == b"\x89PNG"


def test_an_image_s_archive_is_what_its_url_lies_in(web: Web) -> None:
    web.files["/book/%E9%A0%81.jpg"] = JPEG

    (page,) = list_pages([f"{web.url}/book/%E9%A0%81.jpg"], limits=HERE).pages

    assert (page.archive, page.member, page.name, page.size_bytes) == (
        f"{web.url}/book",
        "頁.jpg",
        "頁",
        len(JPEG),
    )
    assert read_member(page.archive, page.member, limits=HERE) == JPEG


def test_another_protocol_of_fsspec_serves_folders_and_wildcards(tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    for name, data in FILES.items():
        store.pipe_file(f"/shelf/deep/{name}", data)
    store.pipe_file("/shelf/a.zip", Path(make_zip(tmp_path, {"z.jpg": JPEG})).read_bytes())

    assert listed("memory://shelf/deep") == ["p2.jpg", "p10.jpg", "頁 1.png"]
    assert listed("memory://shelf/*.zip") == ["z.jpg"]
    assert read_member("memory://shelf", "deep/p2.jpg", limits=HERE) == FILES["p2.jpg"]


def test_a_file_url_is_the_path_in_it(tmp_path: Path) -> None:
    path = Path(make_zip(tmp_path, {"p.jpg": JPEG}))

    (page,) = list_pages([path.as_uri()]).pages

    assert page.archive == archive_name(path.as_uri()) == str(path)


def test_of_a_zip_only_the_pieces_of_one_page_are_fetched(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fumikura.core.archives.remote._BLOCK_BYTES", 1000)
    noise = {f"p{number}.jpg": os.urandom(1500) for number in range(50)}
    web.files["/shelf.zip"] = Path(make_zip(tmp_path, noise)).read_bytes()
    url = f"{web.url}/shelf.zip"
    read_member(url, "p0.jpg", limits=HERE)
    web.asked.clear()

    assert read_member(url, "p30.jpg", limits=HERE) == noise["p30.jpg"]
    assert [method for method, _ in web.asked].count("HEAD") == 1
    # 1500 bytes and a header before them lie in two blocks of 1000 bytes, or in three.
    assert len(web.asked) <= 4


def test_a_zip_of_a_server_that_gives_no_parts_is_refused(tmp_path: Path, web: Web) -> None:
    web.has_ranges = False
    web.files["/shelf.zip"] = Path(make_zip(tmp_path, FILES)).read_bytes()

    with pytest.raises(ArchiveError, match="read in pieces; unpack it there"):
        listed(f"{web.url}/shelf.zip")


def test_a_page_whose_bytes_changed_since_it_was_added_is_an_error(web: Web) -> None:
    web.files["/p.png"] = page_png(1)
    (page,) = list_pages([f"{web.url}/p.png"], limits=HERE).pages

    unchanged = read_claimed(page.archive, page.member, page.digest)
    web.files["/p.png"] = page_png(2)

    assert unchanged == decode(page_png(1), long_side=160, max_pixels=10**6).pixels.tobytes()
    with pytest.raises(PageError, match=r"p\.png in http://\S+ is no longer the image that was added"):
        read_claimed(page.archive, page.member, page.digest)


def test_a_zip_that_changed_is_read_anew_and_its_page_found_changed(tmp_path: Path, web: Web) -> None:
    web.files["/shelf.zip"] = Path(make_zip(tmp_path, {"p.png": page_png(1)})).read_bytes()
    (page,) = list_pages([f"{web.url}/shelf.zip"], limits=HERE).pages
    web.files["/shelf.zip"] = Path(make_zip(tmp_path, {"p.png": page_png(2), "q.png": b""})).read_bytes()

    with pytest.raises(PageError, match="is no longer the image that was added"):
        read_claimed(page.archive, page.member, page.digest)


def test_what_is_not_there_is_an_error_at_once(web: Web) -> None:
    with pytest.raises(ArchiveError, match=r"none\.jpg points to nothing"):
        listed(f"{web.url}/none.jpg")
    with pytest.raises(PageError, match=r"none\.jpg is no longer in http"):
        read_member(web.url, "none.jpg", limits=HERE)

    assert web.asked == [("HEAD", "/none.jpg"), ("GET", "/none.jpg"), ("GET", "/none.jpg")]


def test_what_may_not_be_read_is_an_error_at_once(web: Web) -> None:
    web.statuses["/p.jpg"] = [403] * 9

    with pytest.raises(PageError, match=r"p\.jpg cannot be read \(it answers 403\)"):
        read_member(web.url, "p.jpg", limits=HERE)

    assert len(web.asked) == 1


def test_a_server_that_is_away_for_a_moment_is_waited_for(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    web.files |= {"/p.jpg": JPEG, "/": b"<a href=p.jpg>"}
    web.statuses |= {"/": [503], "/p.jpg": [500, 429, 503]}

    assert listed(web.url) == ["p.jpg"]
    web.statuses["/p.jpg"] = [503, 503]
    assert read_member(web.url, "p.jpg", limits=HERE) == JPEG
    assert "p.jpg cannot be fetched (it answers 503); trying again in" in caplog.text


@pytest.mark.parametrize(("wanted", "least_s"), [("1", 1.0), ("date", 0.9), ("soon", 0.0), ("-1", 0.0)])
def test_a_server_is_not_asked_before_it_wants_to_be(web: Web, wanted: str, least_s: float) -> None:
    in_two_s = format_datetime(
        datetime.now(UTC) + timedelta(seconds=2), usegmt=True
    )  # its fraction is cut off
    web.files["/p.jpg"] = JPEG
    web.statuses["/p.jpg"], web.retry_after = [429], in_two_s if wanted == "date" else wanted
    started_s = time.monotonic()

    assert read_member(web.url, "p.jpg", limits=replace(HERE, patience_s=5)) == JPEG

    assert time.monotonic() - started_s >= least_s


def test_a_server_that_wants_to_be_asked_too_late_is_not_asked_again(web: Web) -> None:
    web.statuses["/p.jpg"], web.retry_after = [429, 429], "3600"

    with pytest.raises(PageError, match=r"cannot be fetched .it answers 429.; try again when its server"):
        read_member(web.url, "p.jpg", limits=HERE)

    assert web.asked == [("GET", "/p.jpg")]


def test_pages_of_a_pdf_on_the_web_are_read_and_the_pdf_fetched_once_for_all(web: Web) -> None:
    pages = [Image.new("L", (40, 40), level) for level in (50, 100, 200)]
    web.files["/book.pdf"] = encode(pages[0], "PDF", save_all=True, append_images=pages[1:])
    listed_pages = list_pages([f"{web.url}/book.pdf"], limits=HERE).pages
    web.asked.clear()

    for page, level in zip(listed_pages, (50, 100, 200), strict=True):
        data = read_member(page.archive, page.member, digest=page.digest, limits=HERE)
        shown = decode(data, long_side=None, max_pixels=10**6).pixels
        assert abs(shown.mean() - level) < 2

    assert [page.member for page in listed_pages] == [f"book.pdf/book_000{n}" for n in (1, 2, 3)]
    assert web.asked == [("GET", "/book.pdf")]


def test_a_server_that_stays_away_ends_a_listing_and_fails_a_page(web: Web) -> None:
    web.statuses["/p.jpg"] = [503] * 10_000
    brief = Limits(allow_private_addresses=True, patience_s=0.2)

    with pytest.raises(StorageError, match=r"cannot be fetched \(it answers 503\); try again"):
        listed(f"{web.url}/p.jpg", limits=brief)
    with pytest.raises(PageError, match=r"p\.jpg cannot be fetched \(it answers 503\); try again"):
        read_member(web.url, "p.jpg", limits=brief)


def test_a_page_that_is_cut_off_on_its_way_fails_alone(web: Web) -> None:
    web.files |= {"/": b"<a href=half.jpg><a href=whole.jpg>", "/half.jpg": JPEG * 9, "/whole.jpg": JPEG}
    web.cut_off.add("/half.jpg")

    assert listed(web.url) == ["half.jpg", "whole.jpg"]
    with pytest.raises(PageError, match=r"half\.jpg is cut off whenever it is fetched"):
        read_member(web.url, "half.jpg", limits=HERE)


def test_no_more_is_fetched_than_a_page_may_have(web: Web) -> None:
    web.endless.add("/p.jpg")
    small = Limits(max_file_bytes=1 << 20, allow_private_addresses=True)

    with pytest.raises(PageError, match=r"p\.jpg has more than 1,048,576 bytes"):
        read_member(web.url, "p.jpg", limits=small)


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        *((address, True) for address in ("8.8.8.8", "2606:4700::1111", "2400:cb00::1")),
        *((address, False) for address in ("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1")),
        *((address, False) for address in ("169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1")),
        *((address, False) for address in ("240.0.0.1", "::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1")),
        # Site-local, and what is for documents, for tests or not given out.
        *(
            (address, False)
            for address in ("fec0::1", "feff::1", "2001:db8::1", "3fff::1", "4000::1", "ff0e::1")
        ),
        # 8.8.8.8 in the clothes of IPv6: mapped, behind NAT64, behind 6to4, behind Teredo (its bits turned).
        *((address, True) for address in ("::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::")),
        ("2001:0:808:808::f7f7:f7f7", True),
        # 10.0.0.1 in the same, each part of Teredo, and in those that an own network may route.
        *((address, False) for address in ("::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::")),
        *((address, False) for address in ("2001:0:808:808::f5ff:fffe", "2001:0:a00:1::f7f7:f7f7")),
        *((address, False) for address in ("::10.0.0.1", "::ffff:0:a00:1", "64:ff9b:1::a00:1")),
    ],
)
def test_which_addresses_are_public(address: str, is_allowed: bool) -> None:
    assert is_public(address) is is_allowed


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_a_private_address_is_not_asked_unless_it_is_allowed(web: Web, host: str) -> None:
    web.files["/p.jpg"] = JPEG
    url = web.url.replace("127.0.0.1", host)

    with pytest.raises(ArchiveError, match="private address; if that is meant, set FUMIKURA_ALLOW_PRIVATE"):
        listed(f"{url}/p.jpg", limits=Limits())
    with pytest.raises(PageError, match="leads to a private address"):
        read_member(url, "p.jpg")

    assert web.asked == []


def test_a_public_server_cannot_lead_to_a_private_address(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fumikura.core.archives.addresses.is_public", lambda address: address == "127.0.0.1")
    web.files["/p.jpg"] = JPEG
    web.redirects["/q.jpg"] = web.url.replace("127.0.0.1", "127.0.0.2") + "/p.jpg"

    assert listed(f"{web.url}/p.jpg", limits=Limits()) == ["p.jpg"]
    with pytest.raises(PageError, match=r"q\.jpg leads to a private address"):
        read_member(web.url, "q.jpg", limits=Limits())


def test_a_server_cannot_lead_to_a_file_of_this_machine(tmp_path: Path, web: Web) -> None:
    (tmp_path / "p.jpg").write_bytes(JPEG)
    web.redirects["/p.jpg"] = (tmp_path / "p.jpg").as_uri()

    with pytest.raises(PageError, match=r"http\S+/p\.jpg cannot be read"):
        read_member(web.url, "p.jpg", limits=HERE)


@pytest.mark.parametrize(
    "url", ["ftp://example.org/p.jpg", "memory://shelf/p.jpg", "sftp://example.org/a.zip"]
)
def test_a_protocol_whose_addresses_are_not_checked_must_be_allowed(url: str) -> None:
    with pytest.raises(ArchiveError, match="names a host whose address is not checked"):
        listed(url, limits=Limits())


@pytest.mark.parametrize(
    "url",
    [
        "https://reader:sesame@example.org/a.zip",
        "https://sesame@example.org/a.zip",
        "https://reader:ses/sesame@example.org/a.zip",
        "https://example.org/a.zip?key=sesame",
        "https://[reader:sesame@example.org/a.zip",
        "s3://reader:sesame@bucket/a.zip",
        "zip://p.jpg::https://reader:sesame@example.org/a.zip",
    ],
)
def test_a_password_in_a_url_is_refused_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(main, ["--debug", "enqueue", url])

    assert result.exit_code == 1
    assert "error:" in result.output
    assert "sesame" not in result.output + caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["pigeon://example.org/a.zip", "https://", "dir://x::memory://shelf"])
def test_what_is_no_url_of_an_archive_is_named(url: str) -> None:
    with pytest.raises(ArchiveError, match=r"is unknown|is no URL of one archive"):
        listed(url)


def test_a_protocol_without_its_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "url_to_fs", fail)

    with pytest.raises(ArchiveError, match=r"pip install 'fumikura\[s3\]'"):
        listed("s3://bucket/a.zip")


def test_a_login_comes_from_netrc_and_goes_to_its_host_alone(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login reader password sesame\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    web.files |= {"/p.jpg": JPEG, "/q.jpg": JPEG}
    web.redirects["/r.jpg"] = web.url.replace("127.0.0.1", "localhost") + "/q.jpg"

    read_member(web.url, "p.jpg", limits=HERE)
    read_member(web.url, "r.jpg", limits=HERE)

    # base64 of "reader:sesame"
    assert web.logins == ["Basic cmVhZGVyOnNlc2FtZQ=="] * 2 + [None]
    assert [path for _, path in web.asked] == ["/p.jpg", "/r.jpg", "/q.jpg"]


def test_a_server_that_drips_fails_the_page_in_time(web: Web) -> None:
    web.files |= {"/drip.jpg": JPEG + bytes(2000), "/": b"<a href=drip.jpg>"}  # 100 s at 20 bytes a second
    web.drips.add("/drip.jpg")
    started_s = time.monotonic()

    with ends_within(1.0), pytest.raises(PageError, match="no whole answer within 1 s"):
        read_member(web.url, "drip.jpg", limits=HERE)

    assert time.monotonic() - started_s < 1.5


def test_a_page_that_drips_fails_before_its_time_limit_ends_the_worker(web: Web) -> None:
    web.files["/drip.png"] = page_png(1)
    web.drips.add("/drip.png")
    claimed = Claim(1, 1, web.url, "drip.png", "0" * 64, 0, None)
    limits = Limits(allow_private_addresses=True, patience_s=1)
    started_s = time.monotonic()

    with pytest.raises(PageError, match="no whole answer"):
        decode_page(claimed, long_side=160, max_pixels=10**6, limits=limits)

    assert time.monotonic() - started_s < limits.patience_s


def test_a_zip_that_drips_fails_the_page_in_time(tmp_path: Path, web: Web) -> None:
    web.files["/shelf.zip"] = Path(make_zip(tmp_path, {"p.jpg": os.urandom(2000)})).read_bytes()
    web.drips.add("/shelf.zip")
    started_s = time.monotonic()

    with ends_within(1.0), pytest.raises(PageError, match="no whole answer within 1 s"):
        read_member(f"{web.url}/shelf.zip", "p.jpg", limits=HERE)

    assert time.monotonic() - started_s < 1.5


def test_all_pieces_of_a_page_share_one_time_limit(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fumikura.core.archives.remote._BLOCK_BYTES", 12)
    web.files["/shelf.zip"] = Path(make_zip(tmp_path, {"p.jpg": os.urandom(2000)})).read_bytes()
    web.drips.add("/shelf.zip")  # each piece comes within 0.6 s, and there are more than a hundred
    started_s = time.monotonic()

    with ends_within(1.0), pytest.raises(PageError, match="cannot be fetched"):
        read_member(f"{web.url}/shelf.zip", "p.jpg", limits=HERE)

    assert time.monotonic() - started_s < 1.8


@pytest.mark.parametrize("status", [401, 403])
def test_a_login_may_be_missing_on_this_machine_alone(web: Web, status: int) -> None:
    web.statuses["/p.jpg"] = [status]

    with pytest.raises(PageError) as refused:
        read_member(web.url, "p.jpg", limits=HERE)

    assert refused.value.is_only_here


@pytest.mark.parametrize(
    ("statuses", "is_only_here"), [([404], False), ([500] * 10_000, False), ([400], False)]
)
def test_what_a_server_says_to_all_is_no_fault_of_this_machine(
    web: Web, statuses: list[int], is_only_here: bool
) -> None:
    web.statuses["/p.jpg"] = statuses
    brief = Limits(allow_private_addresses=True, patience_s=0.2)

    with pytest.raises(PageError) as failed:
        read_member(web.url, "p.jpg", limits=brief)

    assert failed.value.is_only_here is is_only_here


@pytest.mark.parametrize("host", ["no-such-host.invalid", "127.0.0.1:1"])
def test_a_host_that_is_not_reached_may_be_so_from_another_machine(host: str) -> None:
    brief = Limits(allow_private_addresses=True, patience_s=0.2)

    with pytest.raises(PageError, match="cannot be fetched") as failed:
        read_member(f"http://{host}", "p.jpg", limits=brief)

    assert failed.value.is_only_here
