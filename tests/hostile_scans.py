"""Scans of one page, a dark stroke on light paper, in every way that a file can keep it, rightly or wrongly.

Each comes with what is right: nothing if it shows the page, else words of the reason why it fails.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT = 48, 40
PAPER, INK = 220, 30
SHOWS_THE_PAGE = ""

Levels = NDArray[np.float64]


def levels(samples: int = 1) -> Levels:
    """The page, 0 black and 1 white: (H, W, samples)."""
    grey = np.full((HEIGHT, WIDTH), PAPER / 255)
    grey[10:30, 20:28] = INK / 255
    return np.repeat(grey[:, :, None], samples, axis=2)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def grey() -> Image.Image:
    return Image.fromarray(np.round(levels()[:, :, 0] * 255).astype(np.uint8))


def tiff(*frames: tuple[bytes, dict[int, tuple[int, ...]]], order: str = "<", big: bool = False) -> bytes:
    """A TIFF file of frames with these pixels and tags, from the tables of the specification."""
    count, letter, link, size = ("Q", "Q", "Q", 8) if big else ("H", "L", "L", 4)
    head = struct.pack(order + "HHHQ", 43, 8, 0, 0) if big else struct.pack(order + "HL", 42, 0)
    file = bytearray((b"II" if order == "<" else b"MM") + head)
    chain = 8 if big else 4
    for pixels, given in frames:
        tags = {**given, 273: given.get(273, (len(file),)), 279: given.get(279, (len(pixels),))}
        file += pixels + bytes(len(pixels) % 2)
        struct.pack_into(order + link, file, chain, len(file))
        directory, values = bytearray(struct.pack(order + count, len(tags))), bytearray()
        behind = len(file) + len(directory) + len(tags) * (4 + 2 * size) + size
        for tag, numbers in sorted(tags.items()):
            raw = struct.pack(f"{order}{len(numbers)}L", *numbers)
            if len(raw) > size:
                raw, at = struct.pack(order + letter, behind + len(values)), raw
                values += at
            directory += struct.pack(order + "HH" + letter, tag, 4, len(numbers)) + raw.ljust(size, b"\0")
        chain = len(file) + len(directory)
        file += directory + bytes(size) + values
    return bytes(file)


def tags(photometric: int, bits: int, samples: int = 1, **more: int) -> dict[int, tuple[int, ...]]:
    names = {"planar": 284, "form": 339, "extra": 338, "subfile": 254, "old_subfile": 255, "compression": 259}
    numbers = {256: WIDTH, 257: HEIGHT, 262: photometric, 277: samples, 278: HEIGHT, 259: 1}
    numbers |= {names[name]: value for name, value in more.items()}
    return {**{tag: (value,) for tag, value in numbers.items()}, 258: (bits,) * samples}


def packed(page: Levels, bits: int, order: str = "<") -> bytes:
    """Levels as whole numbers of so many bits, each row from a new byte on."""
    numbers = np.round(page * (2**bits - 1)).astype(np.uint64).reshape(len(page), -1)
    if bits in (8, 16, 32):
        return bytes(numbers.astype(f"{order}u{bits // 8}").tobytes())
    digits = (numbers[:, :, None] >> np.arange(bits - 1, -1, -1, dtype=np.uint64)) & np.uint64(1)
    return np.packbits(digits.astype(np.uint8).reshape(len(page), -1), axis=1).tobytes()


def png(colour: int, bits: int, rows: bytes, *chunks: tuple[bytes, bytes], behind: bytes = b"") -> bytes:
    """A PNG file of these rows, each of which begins with its filter."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))

    header = struct.pack(">LLBBBBB", WIDTH, HEIGHT, bits, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *(chunk(*one) for one in chunks), chunk(b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + behind + chunk(b"IEND", b"")


def png_rows(page: Levels, bits: int = 8) -> bytes:
    return b"".join(b"\0" + packed(row[None], bits, ">") for row in page)


def scans() -> Iterator[tuple[str, bytes, str]]:
    """Name, file, and what is right."""
    yield from grey_tiffs()
    yield from colour_tiffs()
    yield from tiffs_of_several()
    yield from pngs()
    yield from jpegs()
    yield from other_formats()


def grey_tiffs() -> Iterator[tuple[str, bytes, str]]:
    page, negative = levels(), 1 - levels()
    for bits in (8, 16):
        yield f"white_is_zero_{bits}.tif", tiff((packed(negative, bits), tags(0, bits))), SHOWS_THE_PAGE
        yield f"black_is_zero_{bits}.tif", tiff((packed(page, bits), tags(1, bits))), SHOWS_THE_PAGE
        motorola = tiff((packed(page, bits, ">"), tags(1, bits)), order=">")
        yield f"big_endian_{bits}.tif", motorola, SHOWS_THE_PAGE
    yield "white_is_zero_16_deflated.tif", _deflated(packed(negative, 16), tags(0, 16)), SHOWS_THE_PAGE
    motorola = tiff((packed(negative, 16, ">"), tags(0, 16)), order=">")
    yield "white_is_zero_16_big_endian.tif", motorola, "grey, white is zero, 1 × 16 bits"
    yield "bigtiff.tif", tiff((packed(page, 8), tags(1, 8)), big=True), SHOWS_THE_PAGE
    yield "bits_12.tif", tiff((packed(page, 12), tags(1, 12))), SHOWS_THE_PAGE
    for used in (10, 12):
        held = np.round(page * (2**used - 1)).astype("<u2").tobytes()
        yield f"{used}_bits_in_16.tif", tiff((held, tags(1, 16))), SHOWS_THE_PAGE
    for bits in (10, 14, 32):
        yield f"bits_{bits}.tif", tiff((packed(page, bits), tags(1, bits))), f"{bits} bits"
    for form, word in ((2, "signed"), (3, "floating-point"), (6, "complex")):
        yield f"{word}_32.tif", tiff((packed(page, 32), tags(1, 32, form=form))), word
    yield "signed_8.tif", tiff((packed(page / 2, 8), tags(1, 8, form=2))), "signed"
    yield "signed_16.tif", tiff((packed(page / 2, 16), tags(1, 16, form=2))), "signed"
    half = page.astype("<f2").tobytes()
    yield "half_float.tif", tiff((half, tags(1, 16, form=3))), "floating-point"
    unsaid = {tag: value for tag, value in tags(1, 8).items() if tag != 262}
    yield "no_photometric.tif", tiff((packed(page, 8), unsaid)), "a kind that is not read"
    for name, offset in (("zero", 0), ("far", 2**31)):
        lost = {**tags(1, 8), 273: (offset,), 279: (WIDTH * HEIGHT,)}
        yield f"strip_at_{name}.tif", tiff((packed(page, 8), lost)), "1 of its 1 strips"


def _deflated(pixels: bytes, given: dict[int, tuple[int, ...]]) -> bytes:
    return tiff((zlib.compress(pixels), {**given, 259: (8,)}))


def colour_tiffs() -> Iterator[tuple[str, bytes, str]]:
    for bits in (8, 16):
        page = levels(3)
        yield f"rgb_{bits}.tif", tiff((packed(page, bits), tags(2, bits, 3))), SHOWS_THE_PAGE
        planes = b"".join(packed(page[:, :, band : band + 1], bits) for band in range(3))
        size = len(planes) // 3
        apart = {
            **tags(2, bits, 3, planar=2),
            273: tuple(8 + size * band for band in range(3)),
            279: (size,) * 3,
        }
        reason = SHOWS_THE_PAGE if bits == 8 else "in separate planes"
        yield f"rgb_{bits}_planes.tif", tiff((planes, apart)), reason
    cmyk = np.concatenate([1 - levels(3), 0 * levels()], axis=2)
    yield "cmyk.tif", tiff((packed(cmyk, 8), tags(5, 8, 4))), SHOWS_THE_PAGE
    neutral = np.full((HEIGHT, WIDTH, 2), 128 / 255)
    ycbcr = np.concatenate([levels(), neutral], axis=2)
    whole = {**tags(6, 8, 3), 530: (1, 1)}
    yield "ycbcr.tif", tiff((packed(ycbcr, 8), whole)), SHOWS_THE_PAGE
    yield "icclab.tif", tiff((packed(ycbcr, 8), tags(9, 8, 3))), "ICCLab"
    yield "palette.tif", encode(grey().convert("P"), "TIFF"), SHOWS_THE_PAGE
    clear = np.concatenate([levels(3), 0 * levels()], axis=2)
    yield "alpha_0.tif", tiff((packed(clear, 8), tags(2, 8, 4, extra=2))), SHOWS_THE_PAGE
    yield "unused_4th.tif", tiff((packed(clear, 8), tags(2, 8, 4, extra=0))), SHOWS_THE_PAGE
    yield (
        "premultiplied_alpha_0.tif",
        tiff((packed(clear, 8), tags(2, 8, 4, extra=1))),
        "transparent all over",
    )


def tiffs_of_several() -> Iterator[tuple[str, bytes, str]]:
    page = (packed(levels(), 8), tags(1, 8))
    black = bytes(20 * 20)
    small = {256: (20,), 257: (20,), 278: (20,)}
    thumbnail = (black, {**tags(1, 8, subfile=1), **small})
    yield "thumbnail_first.tif", tiff(thumbnail, page), SHOWS_THE_PAGE
    yield "thumbnail_last.tif", tiff(page, thumbnail), SHOWS_THE_PAGE
    yield "thumbnail_first_big_endian.tif", tiff(thumbnail, page, order=">"), SHOWS_THE_PAGE
    yield "thumbnail_first_bigtiff.tif", tiff(thumbnail, page, big=True), SHOWS_THE_PAGE
    float_thumbnail = (bytes(1600), {**tags(1, 32, form=3, subfile=1), **small})
    yield "thumbnail_of_another_kind.tif", tiff(float_thumbnail, page), SHOWS_THE_PAGE
    old = (black, {**tags(1, 8, old_subfile=2), **small})
    yield "thumbnail_said_the_old_way.tif", tiff(old, page), SHOWS_THE_PAGE
    yield "mask_first.tif", tiff((bytes(6 * HEIGHT), tags(4, 1, subfile=4)), page), SHOWS_THE_PAGE
    yield "only_a_reduced_copy.tif", tiff((page[0], tags(1, 8, subfile=1))), SHOWS_THE_PAGE
    yield "two_pages.tif", tiff(page, page), "holds 2 pages"
    yield "two_pages_and_thumbnails.tif", tiff(thumbnail, page, thumbnail, page), "holds 2 pages"
    yield "two_thumbnails.tif", tiff(thumbnail, thumbnail), "no page but reduced copies"
    raw = (black, {**thumbnail[1], 330: (8,)})
    yield "thumbnail_with_its_page_below.tif", tiff(raw), "no page but reduced copies"


def pngs() -> Iterator[tuple[str, bytes, str]]:
    noise = np.random.default_rng(3).bytes(1_600_000)
    rows = png_rows(levels())
    yield "profile.png", encode(grey(), "PNG", icc_profile=noise), SHOWS_THE_PAGE
    for kind, data in (
        (b"tEXt", b"Comment\0" + b"x" * 1_600_000),
        (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**8))),
        (b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(10**8))),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b" " * 1_600_000),
    ):
        name = f"{kind.decode()}_{len(data)}"
        yield f"{name}.png", png(0, 8, rows, (kind, data)), SHOWS_THE_PAGE
    late = encode(grey(), "PNG")
    text = b"Comment\0" + b"x" * 1_600_000
    chunk = struct.pack(">L", len(text)) + b"tEXt" + text + struct.pack(">L", zlib.crc32(b"tEXt" + text))
    yield "text_behind_the_pixels.png", late[:-12] + chunk + late[-12:], SHOWS_THE_PAGE
    yield "bits_16.png", png(0, 16, png_rows(levels(), 16)), SHOWS_THE_PAGE
    yield "12_bits_in_16.png", png(0, 16, png_rows(levels() / 16, 16)), SHOWS_THE_PAGE
    yield "alpha_0.png", png(6, 8, png_rows(np.dstack([levels(3), 0 * levels()]))), SHOWS_THE_PAGE
    yield "grey_alpha_0.png", png(4, 8, png_rows(np.dstack([levels(), 0 * levels()]))), SHOWS_THE_PAGE
    yield "blank_alpha_0.png", png(6, 8, png_rows(0 * levels(4))), "transparent all over"
    black_paper = np.where(levels() > 0.5, 0, INK / 255)
    for bits, clear in ((8, b"\0\0"), (16, b"\0\0")):
        file = png(0, bits, png_rows(black_paper, bits), (b"tRNS", clear))
        yield f"clear_paper_{bits}.png", file, "white paper"
    key = struct.pack(">HHH", 384, 384, 384)
    yield (
        "clear_colour_of_16_bits.png",
        png(2, 16, png_rows(levels(3), 16), (b"tRNS", key)),
        "transparent colour",
    )
    yield "no_end.png", encode(grey(), "PNG")[:-12], SHOWS_THE_PAGE


def jpegs() -> Iterator[tuple[str, bytes, str]]:
    for name, options in (
        ("", {}),
        ("progressive_", {"progressive": True}),
        ("restarts_", {"restart_marker_rows": 1}),
    ):
        data = encode(grey(), "JPEG", quality=95, **options)
        noisy = encode(noise(), "JPEG", quality=95, **options)
        yield f"{name}no_end.jpg", data[:-2], SHOWS_THE_PAGE
        yield f"{name}half_an_end.jpg", data[:-1], SHOWS_THE_PAGE
        yield f"{name}half.jpg", noisy[: len(noisy) * 6 // 10], "of its 400 rows the lowest"
        cut = len(noisy) * 6 // 10
        yield f"{name}half_zeros.jpg", noisy[:cut] + bytes(len(noisy) - cut), "of its 400 rows the lowest"
    stopped = encode(noise(), "JPEG", quality=95)
    yield "half_with_an_end.jpg", stopped[: len(stopped) // 2] + b"\xff\xd9", "of its 400 rows the lowest"
    yield "behind_the_end.jpg", encode(grey(), "JPEG", quality=95) + bytes(3000), SHOWS_THE_PAGE
    cmyk = np.dstack([255 - np.asarray(grey())] * 3 + [np.zeros((HEIGHT, WIDTH), np.uint8)])
    adobe = encode(Image.fromarray(cmyk, "CMYK"), "JPEG", quality=95)
    yield "cmyk.jpg", adobe, SHOWS_THE_PAGE
    plain = encode(Image.fromarray(255 - cmyk, "CMYK"), "JPEG", quality=95)
    mark = plain.index(b"\xff\xee")
    yield "cmyk_not_adobe.jpg", plain[:mark] + plain[mark + 16 :], SHOWS_THE_PAGE
    yield "grey.jpg", encode(grey(), "JPEG", quality=95), SHOWS_THE_PAGE
    yield "profile.jpg", encode(grey(), "JPEG", quality=95, icc_profile=bytes(1_600_000)), SHOWS_THE_PAGE


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(4).integers(0, 255, (400, 300, 3), dtype=np.uint8))


def other_formats() -> Iterator[tuple[str, bytes, str]]:
    several = {"save_all": True, "append_images": [grey().rotate(90)]}
    yield "page.webp", encode(grey(), "WEBP", lossless=True), SHOWS_THE_PAGE
    yield "page.bmp", encode(grey(), "BMP"), SHOWS_THE_PAGE
    yield "page.gif", encode(grey(), "GIF"), SHOWS_THE_PAGE
    yield "film.gif", encode(grey(), "GIF", **several), "an animation of 2 images"
    yield "film.webp", encode(grey(), "WEBP", **several), "an animation of 2 images"
    yield "cut.webp", encode(noise(), "WEBP")[:4000], "cut"
    yield "cut.bmp", encode(noise(), "BMP")[:4000], "cut off"
    yield "cut.gif", encode(noise(), "GIF")[:4000], "cut off"
    yield "pdf.jpg", b"%PDF-1.7\n" + bytes(200), "but PDF; save"
    yield "jp2.tif", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(200), "damaged at its very beginning"
    yield "heic.jpg", b"\0\0\0\x18ftypheic" + bytes(200), "damaged at its very beginning"
    yield "zip.jpg", b"PK\x03\x04" + bytes(200), "but zip or tar"
