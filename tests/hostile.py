"""Images made to do harm, or damaged, or merely odd, by name; tests/test_hostile.py says what is right."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from itertools import islice

import numpy as np
from PIL import Image

from tests.hostile_documents import documents
from tests.hostile_scans import scans

N_CUTS = 20
#: What `Image.new` takes; some need numpy.
MODES = (
    "1",
    "L",
    "P",
    "RGB",
    "RGBA",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "F",
    "LA",
    "PA",
    "RGBX",
    "RGBa",
    "La",
)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def noise(seed: int = 0, *, darkest: int = 200) -> Image.Image:
    """Paper with a grain, in which the segmenter made by hand sees no ink."""
    grain = np.random.default_rng(seed).integers(darkest, 255, (64, 64, 3), dtype=np.uint8)
    return Image.fromarray(grain)


def png_header(width: int, height: int, *chunks: tuple[bytes, bytes], colour: int = 2) -> bytes:
    """A PNG of this size with these chunks, and no more pixels than they bring."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *(chunk(*one) for one in chunks), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def pixel_bomb(width: int, height: int) -> bytes:
    """White paper of so many pixels, whole and valid, in a thousandth of its bytes."""
    packer = zlib.compressobj(1)
    row = b"\0" + b"\xff" * (3 * width)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return png_header(width, height, (b"IDAT", packed))


def images() -> Iterator[tuple[str, bytes]]:
    """Files with names of pages."""
    for kind, suffix in (("JPEG", "jpg"), ("PNG", "png")):
        data = encode(noise(), kind)
        for cut in range(N_CUTS):
            yield f"cut_{cut:02}.{suffix}", data[: len(data) * cut // N_CUTS]
    yield from modes()
    yield from odd_images()
    yield from documents()
    for name, data, _ in islice(scans(), 0, None, 6):  # test_hostile_scans.py looks at each
        yield f"scan_{name}", data


def modes() -> Iterator[tuple[str, bytes]]:
    for number, mode in enumerate(MODES):
        # Of a size of its own: two modes that are saved alike would be one page.
        image = Image.new("RGB", (40 + number, 60), "white")
        for kind, suffix in (("TIFF", "tif"), ("PNG", "png"), ("JPEG", "jpg")):
            try:
                data = encode(image.convert("L").convert(mode) if mode != "P" else image.convert("P"), kind)
            except (OSError, ValueError, KeyError):
                continue  # no such file can be made
            yield f"mode_{mode}_{number}.{suffix}", data


def odd_images() -> Iterator[tuple[str, bytes]]:
    pages = [noise(seed) for seed in range(1, 4)]
    several = {"save_all": True, "append_images": pages[1:]}
    yield "full_of_ink.png", encode(noise(18, darkest=0), "PNG")
    yield "animated_gif.png", encode(pages[0], "GIF", **several)
    yield "animated_webp.jpg", encode(pages[0], "WEBP", **several)
    yield "animated.gif", encode(pages[0], "GIF", **several)
    yield "animated_apng.png", encode(pages[0], "PNG", **several)
    yield "many_pages.tif", encode(pages[0], "TIFF", **several)
    yield "jpeg_named.png", encode(noise(5), "JPEG")
    yield "png_named.jpg", encode(noise(6), "PNG")
    yield "text.jpg", b"404 Not Found"
    yield "html.png", b"<html><body>login</body></html>"
    yield "program.tif", b"\x7fELF" + bytes(200)
    yield "empty.tiff", b""
    yield "zeros.jpg", bytes(4096)
    yield "zip.png", b"PK\x03\x04" + bytes(100)
    yield "no_pixels.png", png_header(0, 0)
    yield "endless.png", png_header(2**31 - 1, 2**31 - 1, (b"IDAT", b""))
    yield "thin.png", encode(Image.new("L", (1, 30_000)), "PNG")
    yield "long.png", encode(Image.new("L", (30_000, 16), "white"), "PNG")
    yield "pixel_bomb.png", png_header(30_000, 30_000, (b"IDAT", zlib.compress(bytes(10**6))))
    # As large as a page may be, whatever each decoder makes of it.
    yield "largest_page.png", pixel_bomb(10_000, 8_000)
    yield "text_bomb.png", png_header(64, 64, (b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8))))
    yield "profile_bomb.png", png_header(64, 64, (b"iCCP", b"a\0\0" + zlib.compress(bytes(10**8))))
    yield "huge_jpeg.jpg", encode(noise(7), "JPEG").replace(b"\x00\x40\x00\x40", b"\xff\xff\xff\xff", 1)
    yield "bad_exif.jpg", encode(noise(8), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + bytes(40))
    yield "exif_loop.jpg", encode(noise(9), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0" + b"\xff\xff" * 300)
    orientation = Image.Exif()
    orientation[0x0112] = 99
    yield "orientation_99.jpg", encode(noise(10), "JPEG", exif=orientation)
    yield "tiff_loop.tif", tiff_that_loops()
    yield (
        "tiff_of_many_tags.tif",
        b"II*\0\x08\0\0\0" + b"\xff\xff" + b"\x01\x01\x04\0\xff\xff\xff\x7f\0\0\0\0" * 99,
    )
    yield "頁.png", encode(noise(11), "PNG")
    yield "line\nbreak.png", encode(noise(12), "PNG")
    yield "escape\x1b[31m.png", encode(noise(13), "PNG")
    yield "x" * 240 + ".png", encode(noise(14), "PNG")
    yield "'; DROP TABLE page; --.png", encode(noise(15), "PNG")
    yield "[red]markup.png", encode(noise(16), "PNG")


def tiff_that_loops() -> bytes:
    """A TIFF whose directory names itself as the next one."""
    data = bytearray(encode(noise(17), "TIFF"))
    start = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[start : start + 2])[0]
    end = start + 2 + 12 * count
    data[end : end + 4] = struct.pack("<I", start)
    return bytes(data)
