"""A recipe: all that fixes what a page's reading will be."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.errors import CheckpointError
from core.settings import Settings

#: Raised when a change of the code changes what is read.
READING_VERSION = 1

WEIGHTS_FOLDER = Path(__file__).parent / "weights"


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a reading, beside the weights.

    Attributes:
        long_side: pixels of the page's long side at working resolution.
        patch_side: side of a patch, a multiple of the segmenter's stride.
        halo: pixels of a patch's edge whose scores are dropped.
        n_labels: labels kept for each character, the best included.
    """

    long_side: int = 1280
    # Two by two patches cover a page of 1280 pixels exactly.
    patch_side: int = 704
    halo: int = 64
    n_labels: int = 5


@dataclass(frozen=True, slots=True)
class Recipe:
    """Weights and parameters, known by their digest.

    Device, precision and batch size are no part of it.
    """

    segmenter_digest: str
    classifier_digest: str
    parameters: Parameters = field(default_factory=Parameters)
    version: int = READING_VERSION

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of all the rest."""
        canonical = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def find_weights(kind: str, path: Path | None) -> Path:
    """The weights file of a kind ("segmenter" or "classifier"): `path`, or the one that ships.

    Raises:
        CheckpointError: there is no such file.
    """
    found = path if path is not None else WEIGHTS_FOLDER / f"{kind}.safetensors"
    if not found.is_file():
        raise CheckpointError(f"there are no {kind} weights at {found}; train them or name another file")
    return found


def recipe_of(settings: Settings) -> Recipe:
    """The recipe of the weights that the settings name. Needs no torch.

    Raises:
        CheckpointError: weights are missing, or a file holds something else.
    """
    segmenter = find_weights("segmenter", settings.segmenter_path)
    classifier = find_weights("classifier", settings.classifier_path)
    # Before anything is queued for weights that no worker can load.
    for path, kind in ((segmenter, "segmenter"), (classifier, "classifier")):
        if _kind_of(path) != kind:
            raise CheckpointError(
                f"{path} holds no {kind} weights; name a file that `fumikura train {kind}` wrote"
            )
    return make_recipe(segmenter, classifier)


def make_recipe(segmenter: Path, classifier: Path) -> Recipe:
    """The recipe that these two weights files give. Needs no torch."""
    return Recipe(_file_digest(segmenter), _file_digest(classifier))


def _kind_of(path: Path) -> str | None:
    """What the header of a safetensors file says that it holds; None if that cannot be told."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > path.stat().st_size:
            return None
        try:
            return str(json.loads(file.read(size))["__metadata__"]["kind"])
        except (ValueError, LookupError, TypeError):
            return None


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
