"""This module reads the published files of Kuzushiji-MNIST and Kuzushiji-49.

torchvision reads the former only from uncompressed files in a folder of its own layout, and ends
with an assertion on damaged ones.
"""

from __future__ import annotations

import csv
import gzip
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fumikura.core.errors import DataSetError
from fumikura.core.training.datasets.splits import Split

KMNIST_LABELS = tuple("おきすつなはまやれを")
K49_LABELS = tuple(
    "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわゐゑをんゝ"
)

_DAMAGES = (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error, struct.error)
_IDX_SPLITS: dict[Split, str] = {"train": "train", "test": "t10k"}


@dataclass(frozen=True, slots=True)
class Published:
    """This says where the files of a published data set lie, and in which form.

    Attributes:
        form: `keras`: one file of all; `kmnist`, `k49`: an array a file; `idx`: MNIST's own form.
        path: the file for `keras`, else the folder.
    """

    form: Literal["keras", "kmnist", "k49", "idx"]
    path: Path


def find_published(path: Path) -> Published | None:
    """Find out which published data set a file or a folder is; None if it is none.

    Raises:
        DataSetError: nothing is there, or a folder holds several.
    """
    if not path.exists():
        raise DataSetError(f"there is no data set at {path}; correct the path")
    if path.is_file():
        return Published("keras", path)
    found = [Published("keras", path / "kmnist.npz")] if (path / "kmnist.npz").exists() else []
    found += [Published(form, path) for form in ("kmnist", "k49") if any(path.glob(f"{form}-*.npz"))]
    found += [Published("idx", path)] if any(path.glob("*-idx?-ubyte*")) else []
    if len(found) > 1:
        forms = " and ".join(one.form for one in found)
        raise DataSetError(f"{path} holds several data sets ({forms}); give each a folder of its own")
    return found[0] if found else None


def read_published(
    found: Published, split: Split
) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Read images (N, 28, 28), their classes, and the labels of the classes."""
    if found.form == "keras":
        files = [(found.path, f"x_{split}"), (found.path, f"y_{split}")]
    elif found.form == "idx":
        name = _IDX_SPLITS[split]
        files = [
            (_idx_file(found.path, f"{name}-{part}-ubyte"), "") for part in ("images-idx3", "labels-idx1")
        ]
    else:
        files = [(found.path / f"{found.form}-{split}-{part}.npz", "arr_0") for part in ("imgs", "labels")]
    images, targets = (_read_array(path, key) for path, key in files)
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1] != images.shape[2]:
        raise DataSetError(f"{files[0][0]} holds {images.dtype} {images.shape}, no uint8 images (N, S, S)")
    if targets.dtype.kind not in "ui" or targets.shape != images.shape[:1]:
        raise DataSetError(
            f"{files[1][0]} holds {targets.dtype} {targets.shape}, where {len(images)} whole numbers belong"
            " to the images; copy both again from one source"
        )
    return images, targets.astype(np.int64), _labels(found)


def _labels(found: Published) -> tuple[str, ...]:
    """Read the labels from the class map that lies beside the arrays, if it does."""
    own = K49_LABELS if found.form == "k49" else KMNIST_LABELS
    path = found.path / f"{found.form}_classmap.csv"
    if found.form not in ("kmnist", "k49") or not path.exists():
        return own
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            labels = {int(row["index"]): chr(int(row["codepoint"][2:], 16)) for row in csv.DictReader(file)}
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise DataSetError(
            f"{path} is no class map (index, codepoint, char; {error!r}); copy it again from its source"
        ) from error
    if sorted(labels) != list(range(len(labels))):
        raise DataSetError(f"{path} does not number its classes from 0; copy it again from its source")
    return tuple(labels[number] for number in range(len(labels)))


def _idx_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.gz" if (folder / f"{name}.gz").exists() else folder / name


def _read_array(path: Path, key: str) -> NDArray[Any]:
    """Read an array of an npz file, or, without a key, the one of an idx file."""
    try:
        if not key:
            return _read_idx(path)
        # numpy leaves a damaged file open if it opens it itself.
        with path.open("rb") as file, np.load(file) as arrays:
            return np.asarray(arrays[key])
    except FileNotFoundError as error:
        raise DataSetError(f"{path} is missing; copy it from where the rest came from") from error
    except KeyError as error:
        raise DataSetError(
            f"{path} has no array {key!r}; name a file that has, or the folder with all files of the data set"
        ) from error
    except _DAMAGES as error:
        raise DataSetError(
            f"{path} is cut off or damaged ({error}); copy it again from its source"
        ) from error


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """Read MNIST's form: two zeros, 8 for bytes, the number of sides, each side in 32 bits, the bytes."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        data = file.read()
    zeros, kind, n_sides = struct.unpack_from(">HBB", data)
    if (zeros, kind) != (0, 8):
        raise ValueError("it does not begin as an idx file of bytes does")
    sides = struct.unpack_from(f">{n_sides}I", data, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * n_sides).reshape(sides).copy()
