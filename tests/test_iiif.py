"""Manifests and collections of IIIF are archives, of which no image is fetched before it is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from fumikura.core.archives.images import decode
from fumikura.core.archives.listing import LeftOut, list_pages
from fumikura.core.archives.manifests import _open_unchanged
from fumikura.core.archives.places import archive_name, is_unchanged, read_member
from fumikura.core.errors import ArchiveError, PageError
from fumikura.core.limits import Limits
from fumikura.core.page import PageReference
from tests.iiif_library import VERSION_2, VERSION_3, add_manifest, collection
from tests.test_frames import scan
from tests.web import Web

HERE = Limits(allow_private_addresses=True, patience_s=2, requests_per_second=1000)


def scans(n_pages: int) -> list[Image.Image]:
    return [scan(number) for number in range(n_pages)]


def read(page: PageReference) -> bytes:
    return read_member(page.archive, page.member, digest=page.digest, limits=HERE)


def reason(page: PageReference) -> str:
    with pytest.raises(PageError) as caught:
        read(page)
    return str(caught.value)


@pytest.mark.parametrize(("version", "size"), [(VERSION_2, "full"), (VERSION_3, "max")])
def test_the_pages_of_a_manifest_are_listed_without_their_images(web: Web, version: int, size: str) -> None:
    url = add_manifest(web, scans(3), version=version, size=size)

    pages = list_pages([url], limits=HERE).pages

    assert web.asked == [("GET", "/book/manifest.json")]
    assert [page.member for page in pages] == ["book_0001", "book_0002", "book_0003"]
    assert {(page.archive, page.book) for page in pages} == {(url, "book")}
    assert [page.label for page in pages] == ["1丁", "2丁", "3丁"]
    assert pages[1].canvas == f"{web.url}/book/canvas/2#xywh=0,0,60,80"
    assert len({page.digest for page in pages}) == 3
    for number, page in enumerate(pages):
        data = read(page)
        assert is_unchanged(data, page.archive, page.member, page.digest)
        shown = decode(data, long_side=None, max_pixels=10**6).pixels[:, :, 0]
        assert shown[20 * number + 5, 20] < 50
        assert shown[20 * number + 15, 20] > 150


def test_a_manifest_on_the_disk_gives_the_same_pages(tmp_path: Path, web: Web) -> None:
    url = add_manifest(web, scans(2))
    there = list_pages([url], limits=HERE).pages
    (tmp_path / "manifest.json").write_bytes(web.files["/book/manifest.json"])

    here = list_pages([str(tmp_path / "manifest.json")], limits=HERE).pages

    assert [page.digest for page in here] == [page.digest for page in there]
    assert here[0].member == f"{tmp_path.name}_0001"
    assert read(here[1]) == read(there[1])


@pytest.mark.parametrize(
    ("version", "full", "size"),
    [
        (VERSION_2, (6000, 4000), "2400,"),
        (VERSION_3, (6000, 4000), "2400,1600"),
        (VERSION_3, (1000, 4800), "500,2400"),
        (VERSION_2, (2000, 2400), "full"),
    ],
)
def test_an_image_is_asked_for_in_the_size_that_a_reading_needs(
    web: Web, version: int, full: tuple[int, int], size: str
) -> None:
    url = add_manifest(web, scans(1), version=version, full=full, size=size)
    (page,) = list_pages([url], limits=HERE).pages

    read(page)

    assert web.asked[-1] == ("GET", f"/book/image%2F1/full/{size}/0/default.jpg")
    assert page.canvas is not None
    assert page.canvas.endswith(f"#xywh=0,0,{full[0]},{full[1]}")


def test_a_service_of_fixed_sizes_gives_the_smallest_that_is_enough(web: Web) -> None:
    url = add_manifest(web, scans(1), full=(6000, 4000), size="3000,2000")
    info = json.loads(web.files["/book/image%2F1/info.json"])
    sizes = [{"width": width, "height": width * 2 // 3} for width in (6000, 3000, 1500, 300)]
    web.files["/book/image%2F1/info.json"] = json.dumps(info | {"profile": "level0", "sizes": sizes}).encode()

    read(list_pages([url], limits=HERE).pages[0])

    assert web.asked[-1][1].endswith("/full/3000,2000/0/default.jpg")


def test_an_image_without_a_service_is_fetched_from_its_address_and_query(web: Web) -> None:
    url = add_manifest(web, scans(1))
    manifest = json.loads(web.files["/book/manifest.json"])
    body = manifest["items"][0]["items"][0]["items"][0]["body"]
    del body["service"]
    body["id"] = f"{web.url}/get?file=a/b.jpg"
    web.files["/book/manifest.json"] = json.dumps(manifest).encode()
    web.files["/get?file=a/b.jpg"] = web.files["/book/image%2F1/full/max/0/default.jpg"]

    assert read(list_pages([url], limits=HERE).pages[0]) == web.files["/get?file=a/b.jpg"]


def test_some_pages_of_a_manifest_are_the_same_pages(web: Web) -> None:
    url = add_manifest(web, scans(4))
    everything = list_pages([url], limits=HERE).pages

    assert list_pages([f"{url}#2-3"], limits=HERE).pages == everything[1:3]
    assert list_pages([f"{url}#4"], limits=HERE).pages == everything[3:]
    assert list_pages([f"{url}#2-"], limits=HERE).pages == everything[1:]
    assert archive_name(f"{url}#2-3") == url
    with pytest.raises(ArchiveError, match=r"names no pages; write #1-20"):
        list_pages([f"{url}#0-3"], limits=HERE)


def test_the_manifests_of_a_collection_are_archives_in_its_order(web: Web) -> None:
    second = add_manifest(web, scans(1), name="/b/manifest.json")
    first = add_manifest(web, scans(2), name="/a/manifest.json")
    web.files["/inner/collection.json"] = collection("", ("Manifest", first), ("Manifest", second))
    inner = f"{web.url}/inner/collection.json"
    web.files["/iiif/all"] = collection("", ("Manifest", second), ("Collection", inner))

    pages = list_pages([f"{web.url}/iiif/all"], limits=HERE).pages

    assert [(page.archive, page.member) for page in pages] == [
        (second, "b_0001"),
        (first, "a_0001"),
        (first, "a_0002"),
    ]


def test_a_loop_and_addresses_that_lead_nowhere_are_named_and_the_rest_goes_on(web: Web) -> None:
    good = add_manifest(web, scans(1))
    outer, inner = f"{web.url}/iiif/outer", f"{web.url}/iiif/inner"
    web.files["/iiif/outer"] = collection("", ("Manifest", "javascript:alert(1)"), ("Collection", inner))
    web.files["/iiif/inner"] = collection(
        "", ("Collection", outer), ("Manifest", "file:///etc/passwd"), ("Manifest", good)
    )

    page, rest = list_pages([outer], limits=HERE).pages

    assert page.archive == good
    assert (rest.archive, rest.member) == (outer, "")
    assert reason(rest) == (
        f"'javascript:alert(1)' is no address of http or https; correct the manifest; {outer} names it;"
        " and 2 more like that"
    )
    web.files["/iiif/outer"] = collection("", ("Collection", inner))
    _open_unchanged.cache_clear()
    assert f"collections in a loop: {outer} > {inner} > {outer}" in reason(rest)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "file:///etc/passwd", "ftp://host/a.jpg", "a\nb"])
def test_an_image_at_no_address_of_the_web_fails_in_one_line(web: Web, address: str) -> None:
    url = add_manifest(web, scans(2))
    manifest = json.loads(web.files["/book/manifest.json"])
    body = manifest["items"][0]["items"][0]["items"][0]["body"]
    body["id"] = body["service"][0]["id"] = address
    web.files["/book/manifest.json"] = json.dumps(manifest).encode()

    bad, good = list_pages([url], limits=HERE).pages

    assert reason(bad) == f"{address!r} is no address of http or https; correct the manifest; {url} names it"
    assert read(good)


def test_a_manifest_leads_into_no_private_network(web: Web, tmp_path: Path) -> None:
    add_manifest(web, scans(1))
    (tmp_path / "manifest.json").write_bytes(web.files["/book/manifest.json"])
    (page,) = list_pages([str(tmp_path / "manifest.json")]).pages
    web.asked.clear()

    with pytest.raises(PageError, match="leads to a private address"):
        read_member(page.archive, page.member, digest=page.digest)

    assert not web.asked


def test_what_fails_says_why_and_the_others_are_read(web: Web) -> None:
    url = add_manifest(web, scans(4))
    paths = [f"/book/image%2F{number}/full/max/0/default.jpg" for number in (1, 2, 3, 4)]
    gone, refused, cut, good = list_pages([url], limits=HERE).pages
    data = read(gone)
    del web.files[paths[0]]
    web.statuses[paths[1]], web.retry_after = [429] * 3, "60"  # longer than anybody waits here
    web.cut_off.add(paths[2])

    assert reason(gone) == (
        f"there is nothing at {web.url}{paths[0]}, which {url} names; retry when it is back"
    )
    assert "it answers 429" in reason(refused)
    assert "is cut off whenever it is fetched" in reason(cut)
    assert read(good) != data
    web.statuses.clear()
    assert read(refused)


def test_another_image_at_a_canvas_is_another_page(web: Web) -> None:
    url = add_manifest(web, scans(2))
    pages = list_pages([url], limits=HERE).pages
    manifest = json.loads(web.files["/book/manifest.json"])
    manifest["items"].reverse()
    web.files["/book/manifest.json"] = json.dumps(manifest).encode()
    _open_unchanged.cache_clear()

    turned = list_pages([url], limits=HERE).pages
    assert [page.digest for page in turned] == [page.digest for page in reversed(pages)]
    assert read(pages[0]) == read(turned[1])

    manifest["items"].pop()
    web.files["/book/manifest.json"] = json.dumps(manifest).encode()
    _open_unchanged.cache_clear()
    assert "is no longer the image that was added" in reason(pages[0])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"no json", "is no IIIF manifest, for it is no JSON"),
        (b"[" * 100_000, "is no IIIF manifest, for it is no JSON"),
        (b'{"type": "Canvas"}', "is no IIIF manifest or collection of version 2 or 3"),
        (b'{"type": "Manifest", "items": [{"type": "Canvas"}]}', "holds no JPEG"),
        (b'{"type": "Manifest", "items": 7}', "holds no JPEG"),
    ],
)
def test_what_is_no_manifest_is_one_line(web: Web, data: bytes, problem: str) -> None:
    web.files["/iiif/manifest"] = data

    with pytest.raises(ArchiveError, match=problem):
        list_pages([f"{web.url}/iiif/manifest"], limits=HERE)


def test_a_canvas_without_an_image_is_no_page(web: Web) -> None:
    url = add_manifest(web, scans(2))
    manifest = json.loads(web.files["/book/manifest.json"])
    manifest["items"][0]["items"] = []
    web.files["/book/manifest.json"] = json.dumps(manifest).encode()

    listing = list_pages([url], limits=HERE)

    assert [page.member for page in listing.pages] == ["book_0002"]
    assert listing.left_out == (LeftOut(url, "book_0001", "canvas without an image"),)


def test_other_json_in_a_folder_or_pattern_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "boxes.json").write_bytes(b'{"images": []}')
    (tmp_path / "p1.jpg").write_bytes(b"\xff\xd8\xff")

    listing = list_pages([f"{tmp_path}/*"])

    assert [page.member for page in listing.pages] == ["p1.jpg"]
    assert [file.kind for file in listing.left_out] == [".json file"]


def test_requests_to_a_host_come_one_after_the_other(web: Web) -> None:
    from time import monotonic

    slow = Limits(allow_private_addresses=True, requests_per_second=20)
    url = add_manifest(web, scans(3))
    began_s = monotonic()

    for page in list_pages([url], limits=slow).pages:
        read_member(page.archive, page.member, digest=page.digest, limits=slow)

    assert len(web.asked) == 7
    assert monotonic() - began_s > 6 / 20
