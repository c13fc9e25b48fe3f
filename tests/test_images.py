"""Decoding: every kind of scan comes out upright in RGB, every broken one with its reason."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from fumikura.core.archives.images import decode
from fumikura.core.errors import PageError
from fumikura.core.page import PageImage

RED = (255, 0, 0)


def read(data: bytes, *, long_side: int = 60, max_pixels: int = 10**6) -> PageImage:
    return decode(data, long_side=long_side, max_pixels=max_pixels)


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def page(width: int = 60, height: int = 40, *, mode: str = "RGB") -> Image.Image:
    """A white page with a red quarter at its top left."""
    image = Image.new("RGB", (width, height), "white")
    image.paste(RED, (0, 0, width // 2, height // 2))
    return image.convert(mode)


def test_an_open_jpeg_is_read_as_its_file_is() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (400, 300, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), "JPEG")

    with Image.open(io.BytesIO(data)) as image:
        pixels = decode(image, long_side=60, max_pixels=10**6).pixels

        # At half its size or less, what a JPEG decodes to is not what the whole one is resized to.
        assert np.array_equal(pixels, read(data).pixels)
        assert not np.array_equal(pixels, decode(image.copy(), long_side=60, max_pixels=10**6).pixels)
        assert image.size == (300, 400)


def test_an_open_tiff_of_two_pages_is_refused_as_its_file_is() -> None:
    data = encode(page(), "TIFF", save_all=True, append_images=[page()])

    with Image.open(io.BytesIO(data)) as image:
        with pytest.raises(PageError, match="holds 2 pages"):
            decode(image, long_side=60, max_pixels=10**6)

        assert image.tell() == 0
        assert image.copy().size == (60, 40)


def test_an_open_image_of_another_kind_is_read_too() -> None:
    with Image.open(io.BytesIO(encode(page(), "BMP"))) as image:
        pixels = decode(image, long_side=60, max_pixels=10**6).pixels

    assert red_corners(pixels) == ["top left"]


def red_corners(pixels: NDArray[np.uint8]) -> list[str]:
    corners = {"top left": (2, 2), "top right": (2, -3), "bottom left": (-3, 2), "bottom right": (-3, -3)}
    return [name for name, (y, x) in corners.items() if np.abs(pixels[y, x] - np.array(RED)).max() < 30]


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("long_side", [37, 61, 250])
def test_pages_are_resized_as_pillow_does_but_for_rounding(mode: str, long_side: int) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (120, 90, 3), dtype=np.uint8)
    image = Image.fromarray(noise).convert(mode)

    pixels = read(encode(image), long_side=long_side).pixels

    size = (round(90 * long_side / 120), long_side)
    wanted = np.asarray(image.resize(size, Image.Resampling.BICUBIC).convert("RGB"))
    assert pixels.shape == wanted.shape
    assert np.abs(pixels.astype(int) - wanted).max() <= 2  # each of the two passes rounds


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "corner", "size"),
    [
        (1, "top left", (60, 40)),
        (2, "top right", (60, 40)),
        (3, "bottom right", (60, 40)),
        (4, "bottom left", (60, 40)),
        (5, "top left", (40, 60)),
        (6, "top right", (40, 60)),
        (7, "bottom right", (40, 60)),
        (8, "bottom left", (40, 60)),
    ],
)
def test_pages_are_turned_upright(kind: str, orientation: int, corner: str, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation

    result = read(encode(page(), kind, exif=exif))

    assert red_corners(result.pixels) == [corner]
    assert (result.width, result.height) == size
    assert result.pixels.shape == (size[1], size[0], 3)


@pytest.mark.parametrize(("width", "height"), [(600, 400), (400, 600), (90, 60), (30, 20), (61, 17)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_long_side_is_exact_whether_made_smaller_or_larger(kind: str, width: int, height: int) -> None:
    result = read(encode(page(width, height), kind), long_side=50)

    assert max(result.pixels.shape[:2]) == 50
    assert result.pixels.shape[0] == pytest.approx(height * 50 / max(width, height), abs=0.5)
    assert (result.width, result.height) == (width, height)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("JPEG", "RGB"),
        ("JPEG", "CMYK"),
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("PNG", "P"),
        ("TIFF", "RGB"),
        ("TIFF", "RGBA"),
        ("TIFF", "P"),
        ("TIFF", "CMYK"),
        ("TIFF", "YCbCr"),
    ],
)
def test_colours_survive_every_mode(kind: str, mode: str) -> None:
    pixels = read(encode(page(mode=mode), kind)).pixels

    assert red_corners(pixels) == ["top left"]
    assert pixels.dtype == np.uint8
    assert pixels[-3, -3].min() > 250


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_grey_pages_come_out_in_three_equal_channels(mode: str) -> None:
    pixels = read(encode(page().convert("L").convert(mode))).pixels

    assert pixels.shape == (40, 60, 3)
    assert (pixels == pixels[..., :1]).all()
    assert pixels[:18, :28].mean() < 100  # red is a dark grey, in mode 1 a pattern of dots
    assert pixels[22:, 32:].mean() > 250


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_shades(kind: str) -> None:
    shades = np.full((40, 60), 200 * 256, np.uint16)
    shades[:, :30] = 10 * 256

    pixels = read(encode(Image.fromarray(shades), kind)).pixels

    assert pixels[20, 5].tolist() == [10, 10, 10]
    assert pixels[20, -5].tolist() == [200, 200, 200]


def test_what_is_transparent_is_paper() -> None:
    image = Image.new("RGBA", (60, 40), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 30, 20))

    pixels = read(encode(image)).pixels

    assert pixels[2, 2].tolist() == [0, 0, 0]
    assert pixels[-3, -3].tolist() == [255, 255, 255]


def test_a_transparent_colour_of_a_palette_is_paper() -> None:
    image = Image.new("P", (60, 40), 1)
    image.putpalette([*RED, 0, 0, 0])
    image.paste(0, (0, 0, 30, 20))

    pixels = read(encode(image, transparency=1)).pixels

    assert red_corners(pixels) == ["top left"]
    assert pixels[-3, -3].tolist() == [255, 255, 255]


def test_the_pixels_can_be_written_to() -> None:
    assert read(encode(page())).pixels.flags.writeable  # torch warns of arrays that are not


def test_a_jpeg_decoded_at_a_fraction_looks_like_the_whole_one() -> None:
    blots = np.random.default_rng(0).integers(0, 2, (20, 30)) * 255
    image = Image.fromarray(np.kron(blots, np.ones((40, 40))).astype(np.uint8))  # 1200 × 800

    whole = read(encode(image), long_side=120)
    fraction = read(encode(image, "JPEG", quality=95), long_side=120)  # decoded at an eighth

    assert np.corrcoef(whole.pixels.ravel(), fraction.pixels.ravel())[0, 1] > 0.98


def test_an_empty_file_says_so() -> None:
    with pytest.raises(PageError, match="the file is empty"):
        read(b"")


def test_a_text_named_as_an_image_shows_how_it_begins() -> None:
    with pytest.raises(PageError, match="a text that begins '404 Not Found ページがありません'"):
        read("404 Not Found\nページがありません".encode())


def test_bytes_that_are_neither_image_nor_text_are_named() -> None:
    with pytest.raises(
        PageError, match="none of JPEG, PNG, TIFF, JPEG 2000, WebP, HEIC, AVIF, BMP or GIF images"
    ):
        read(bytes(range(128, 256)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_truncated_image_is_cut_off_or_damaged(kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8))
    data = encode(noise, kind)

    with pytest.raises(PageError, match=r"the image is cut off|the image is damaged|or damaged at its very"):
        read(data[: len(data) // 2])


@pytest.mark.parametrize("size", [(1, 1), (15, 200), (200, 15)])
def test_a_side_under_16_pixels_is_too_small(size: tuple[int, int]) -> None:
    with pytest.raises(PageError, match=f"only {size[0]} × {size[1]} pixels"):
        read(encode(Image.new("RGB", size)))


def test_16_pixels_are_enough() -> None:
    assert read(encode(page(16, 16))).pixels.shape == (60, 60, 3)


def test_a_gigantic_page_fails_by_its_header_alone() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")

    with pytest.raises(
        PageError, match=r"40000 × 40000 pixels, more than 400,000,000 .* FUMIKURA_MAX_PIXELS"
    ):
        read(data, max_pixels=400_000_000)


def test_a_tiff_of_two_pages_is_refused_rather_than_half_read() -> None:
    data = encode(page(), "TIFF", save_all=True, append_images=[page()])

    with pytest.raises(PageError, match=r"holds 2 pages; call it \.tif, or split it"):
        read(data)


def test_a_tiff_with_a_thumbnail_is_one_page() -> None:
    thumbnail = page(30, 20)
    thumbnail.encoderinfo = {"tiffinfo": {254: 1}}
    data = encode(page(), "TIFF", save_all=True, append_images=[thumbnail])

    assert red_corners(read(data).pixels) == ["top left"]


def test_32_bit_pixels_say_what_to_do() -> None:
    with pytest.raises(PageError, match=r"1 × 32 bits, floating-point.* convert it to 8 bits"):
        read(encode(Image.fromarray(np.zeros((40, 60), np.float32)), "TIFF"))


def test_a_heic_of_a_telephone_is_a_page() -> None:
    pillow_heif.register_heif_opener()

    found = read(encode(page(64, 96), "HEIF", quality=95))

    assert (found.width, found.height) == (64, 96)
    assert red_corners(found.pixels) == ["top left"]


def test_an_avif_is_turned_once() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6

    found = read(encode(page(64, 96), "AVIF", quality=95, exif=turned))

    assert (found.width, found.height) == (96, 64)
    assert red_corners(found.pixels) == ["top right"]


def test_heic_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    pillow_heif.register_heif_opener()
    data = encode(page(), "HEIF")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)

    with pytest.raises(PageError, match=r"HEIC needs another package \(pip install 'fumikura\[heic\]'\)"):
        read(data)


NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 255, (20, 30, 3), dtype=np.uint8))
SOUND = [
    encode(NOISE, "JPEG"),
    encode(NOISE),
    encode(NOISE, "TIFF"),
    encode(NOISE, "TIFF", compression="tiff_lzw"),
]


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damaged metadata before it gives up
@given(
    st.sampled_from(SOUND),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
    st.integers(0, 10_000),
)
def test_damage_anywhere_gives_a_page_or_a_page_error(
    data: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value

    try:
        result = read(bytes(damaged[: len(data) - cut % len(data)]))
    except PageError:
        return
    assert max(result.pixels.shape) == 60
