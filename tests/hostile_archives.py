"""Archives made to do harm, or damaged, or merely odd, by name; tests/test_hostile.py says what is right."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.hostile import encode, noise

#: For the tests, to which more are too many.
MAX_MEMBERS = 2000


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


def _twice(path: Path, page: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python says that a name comes twice
        path.write_bytes(_zip(("p.png", b"no image"), ("p.png", page), ("Q.png", page), ("q.png", page)))


def _updated(kind: str) -> Callable[[Path, bytes], None]:
    """A tar with an older version of a page, as `tar -r` leaves it."""

    def write(path: Path, page: bytes) -> None:
        _tar(
            path,
            (_info("p.png"), b"no image"),
            (_info("q.png"), page),
            (_info("p.png"), page),
            mode=f"w:{kind}",
        )

    return write


def _named_in(encoding: str, *, is_marked: bool = False) -> Callable[[Path, bytes], None]:
    """A zip whose names are in an old encoding, or even say that they are UTF-8."""

    def write(path: Path, page: bytes) -> None:
        raw = "桐壺/若紫.png".encode(encoding)
        data = bytearray(_zip(("x" * len(raw), page)).replace(b"x" * len(raw), raw))
        for header, at in ((b"PK\3\4", 7), (b"PK\1\2", 9)):
            data[data.index(header) + at] |= 8 * is_marked
        path.write_bytes(data)

    return write


def _tar_in_euc_jp(path: Path, page: bytes) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, encoding="euc_jp") as archive:
        for name in ("桐壺", "帚木", "空蝉", "夕顔", "若紫"):
            archive.addfile(
                _sized(f"源氏/{name}.png", page + name.encode()), io.BytesIO(page + name.encode())
            )


def _tar_of_one_look(path: Path, page: bytes) -> None:
    """Names that look the same: two forms of one, and bytes of no encoding."""
    names = [
        os.fsdecode(name)
        for name in (b"\xff\xfe.png", b"\xfe\xff.png", "が.png".encode(), "か\u3099.png".encode())
    ]
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for name in names:
            archive.addfile(_sized(name, page), io.BytesIO(page))


def _from_a_nas(path: Path, page: bytes) -> None:
    beside = ("@eaDir/p.png/T.png", "#recycle/q.png", "$RECYCLE.BIN/r.png", "._p.png", "lost+found/s.png")
    path.write_bytes(_zip(("p.png", page), *((name, b"no image") for name in beside)))


def _from_a_mac(path: Path, page: bytes) -> None:
    path.write_bytes(
        _zip(("か\u3099くの本/は\u309a.png", page), ("__MACOSX/か\u3099くの本/._は\u309a.png", b""))
    )


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
    "twice.zip": _twice,
    "updated.tar": _updated(""),
    "updated.tar.gz": _updated("gz"),
    "euc_jp.zip": _named_in("euc_jp"),
    "euc_jp_marked.zip": _named_in("euc_jp", is_marked=True),
    "shift_jis_marked.zip": _named_in("cp932", is_marked=True),
    "euc_jp.tar": _tar_in_euc_jp,
    "one_look.tar": _tar_of_one_look,
    "nas.zip": _from_a_nas,
    "mac.zip": _from_a_mac,
    "noise.zip": _noise_file,
    "noise.tar.gz": _noise_file,
}
