"""Archives and images made to do harm, or damaged, or merely odd: each by name.

`write_all` makes the files that one run is given; what stands in them is checked by tests/test_hostile.py.
"""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.hostile_scans import scans

N_CUTS = 20
#: For the tests, to which more are too many.
MAX_MEMBERS = 2000
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
    for name, data, _ in scans():
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


def write_archives(folder: Path) -> dict[str, Path]:
    """Archives by the name of what is wrong with them."""
    made: dict[str, Path] = {}
    for name, write in _ARCHIVES.items():
        made[name] = folder / name
        write(folder / name, encode(noise(100 + len(made)), "PNG"))
    return made


def _zip(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def _escaping_zip(path: Path, page: bytes) -> None:
    names = (
        "../escaped.png",
        "/tmp/fumikura_escaped.png",
        "..\\..\\escaped.png",
        "C:\\escaped.png",
        "a/../../b.png",
    )
    path.write_bytes(_zip(*((name, page + bytes([number])) for number, name in enumerate(names))))


def _zip_with_link(path: Path, page: bytes) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (0o120777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("page.png", page)


def _four_gigabytes(path: Path, page: bytes) -> None:
    data = _zip(("huge.png", page), method=zipfile.ZIP_STORED)
    path.write_bytes(data.replace(struct.pack("<I", len(page)), b"\xff\xff\xff\xfe"))


def _encrypted(path: Path, page: bytes) -> None:
    data = bytearray(_zip(("secret.png", page)))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)


def _shift_jis(path: Path, page: bytes) -> None:
    raw = "源氏/表紙.png".encode("cp932")
    path.write_bytes(_zip(("x" * len(raw), page)).replace(b"x" * len(raw), raw))


def _nested(path: Path, page: bytes) -> None:
    inner = _zip(("inner.png", page))
    for _ in range(5):
        inner = _zip(("inner.zip", inner))
    path.write_bytes(_zip(("inner.zip", inner), ("named_as.png", inner), ("outer.png", page)))


def _bomb(path: Path, page: bytes) -> None:
    path.write_bytes(_zip(("bomb.png", bytes(40_000_000)), ("page.png", page)))


def _overlapping(path: Path, page: bytes) -> None:
    """Fifty names for one file of zeros."""
    data = _zip(("0000.png", bytes(15_000_000)), ("page.png", page))
    start = data.index(b"PK\x01\x02")
    size = 46 + len("0000.png")
    entry, rest = data[start : start + size], data[start + size : data.index(b"PK\x05\x06")]
    entries = b"".join(entry.replace(b"0000.png", b"%04d.png" % number) for number in range(50)) + rest
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 51, 51, len(entries), start, 0)
    path.write_bytes(data[:start] + entries + end)


def _wrong_size(path: Path, page: bytes) -> None:
    data = _zip(("liar.png", bytes(30_000_000)), ("page.png", page))
    path.write_bytes(data.replace(struct.pack("<I", 30_000_000), struct.pack("<I", 10)))


def _cut(path: Path, page: bytes) -> None:
    path.write_bytes(_zip(("cut.png", page))[:-30])


def _tar(path: Path, *infos: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> None:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, data in infos:
            info.size = info.size or len(data)
            archive.addfile(info, io.BytesIO(data))


def _info(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def _tar_of_links(path: Path, page: bytes) -> None:
    _tar(
        path,
        (_info("symbolic.png", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (_info("hard.png", tarfile.LNKTYPE, "/etc/passwd"), b""),
        (_info("device.png", tarfile.CHRTYPE), b""),
        (_info("block.png", tarfile.BLKTYPE), b""),
        (_info("pipe.png", tarfile.FIFOTYPE), b""),
        (_info("/absolute.png"), page),
        (_info("../escaped.png"), page + b"1"),
    )


def _sparse_tar(path: Path, page: bytes) -> None:
    """A file of a terabyte that is one hole, as GNU tar writes it."""
    sparse = _info("sparse.png", tarfile.GNUTYPE_SPARSE)
    header = bytearray(sparse.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"%011o\0" % (2**33 - 1)  # the real size
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:]))
    _tar(path, (_info("page.png"), page))
    path.write_bytes(bytes(header) + path.read_bytes())


def _tar_that_claims_more(path: Path, page: bytes) -> None:
    _tar(path, (_info("first.png"), page))
    huge = _info("huge.png")
    huge.size = 2**32
    whole = path.read_bytes()
    size = 512 + -(-len(page) // 512) * 512
    path.write_bytes(whole[:size] + huge.tobuf() + whole[size:])


def _tar_bomb(kind: str) -> Callable[[Path, bytes], None]:
    def write(path: Path, page: bytes) -> None:
        _tar(path, (_info("page.png"), page), (_info("bomb.png"), bytes(20_000_000)), mode=f"w:{kind}")

    return write


def _many_members(path: Path, page: bytes) -> None:
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        archive.addfile(_sized("page.png", page), io.BytesIO(page))
        empty = tarfile.TarInfo("n").tobuf()
        for _ in range(2 * MAX_MEMBERS):
            archive.fileobj.write(empty)


def _sized(name: str, data: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info


def _noise_file(path: Path, _page: bytes) -> None:
    path.write_bytes(os.urandom(5000))


_ARCHIVES: dict[str, Callable[[Path, bytes], None]] = {
    "escaping.zip": _escaping_zip,
    "link.zip": _zip_with_link,
    "four_gigabytes.zip": _four_gigabytes,
    "encrypted.zip": _encrypted,
    "shift_jis.zip": _shift_jis,
    "nested.zip": _nested,
    "bomb.zip": _bomb,
    "overlapping.zip": _overlapping,
    "wrong_size.zip": _wrong_size,
    "cut.zip": _cut,
    "links.tar": _tar_of_links,
    "sparse.tar": _sparse_tar,
    "claims_more.tar": _tar_that_claims_more,
    "bomb.tar.gz": _tar_bomb("gz"),
    "bomb.tar.bz2": _tar_bomb("bz2"),
    "bomb.tar.xz": _tar_bomb("xz"),
    "many.tar.gz": _many_members,
    "noise.zip": _noise_file,
    "noise.tar.gz": _noise_file,
}
