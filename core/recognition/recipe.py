"""A recipe is all that fixes what a page's reading will be."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from fumikura.core.errors import CheckpointError
from fumikura.core.recognition.weights_header import learnt_pages, read_header
from fumikura.core.settings import Settings

#: Raised when a change of the code changes what is read.
READING_VERSION = 5

WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"


@dataclass(frozen=True, slots=True)
class ContextUse:
    """This is the context that a reading heeds.

    Attributes:
        digest: of its weights.
        weight: power of its probabilities against the classifier's.
    """

    digest: str
    weight: float


@dataclass(frozen=True, slots=True)
class Parameters:
    """These are the parameters of a reading, beside the weights.

    Attributes:
        long_side: pixels of the page's long side at working resolution.
        patch_side: longest side of a patch, a multiple of the segmenter's stride.
        halo: pixels of a patch's edge whose scores are dropped.
        n_labels: labels kept for each character, the best included; context chooses among them.
        context: None for a reading without it.
        leaves: "auto", "one" or "two" to find the material on a photograph and so many leaves; "off" to read
            all of it.
        is_as_is: pages on their side or head and negatives are not turned, small writing not enlarged.
    """

    # Chosen on the books of all folds: docs/performance.md says what others cost and bring.
    long_side: int = 1216
    # A whole page: no seams, and nothing is computed twice.
    patch_side: int = 1216
    halo: int = 64
    n_labels: int = 5
    context: ContextUse | None = None
    leaves: str = "auto"
    is_as_is: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe is weights and parameters, known by their digest.

    Device, precision and batch size are no part of it.

    Attributes:
        learnt_pages: digests of the pages that the weights have learnt from; no part of the recipe's own
            digest, since those of the weights fix them.
    """

    segmenter_digest: str
    classifier_digest: str
    parameters: Parameters = field(default_factory=Parameters)
    version: int = READING_VERSION
    learnt_pages: frozenset[str] = field(default=frozenset(), compare=False)

    def as_dict(self) -> dict[str, Any]:
        values = asdict(self)
        del values["learnt_pages"]
        if self.parameters.context is None:
            # So that recipes keep the digests that they had before there was context.
            del values["parameters"]["context"]
        return values

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the canonical JSON of all the rest."""
        canonical = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def find_weights(kind: str, path: Path | None) -> Path:
    """Find the weights file of a kind ("segmenter", "classifier", "context"): `path`, or what ships.

    Raises:
        CheckpointError: there is no such file.
    """
    found = path if path is not None else WEIGHTS_FOLDER / f"{kind}.safetensors"
    if not found.is_file():
        raise CheckpointError(f"there are no {kind} weights at {found}; train them or name another file")
    return found


def recipe_of(settings: Settings) -> Recipe:
    """Make the recipe of the weights that the settings name. Needs no torch.

    Raises:
        CheckpointError: weights are missing, or a file holds something else.
    """
    segmenter = find_weights("segmenter", settings.segmenter_path)
    classifier = find_weights("classifier", settings.classifier_path)
    context = find_context(settings)
    # Before anything is queued for weights that no worker can load.
    for path, kind in ((segmenter, "segmenter"), (classifier, "classifier"), (context, "context")):
        if path is not None and read_header(path).get("kind") != kind:
            raise CheckpointError(
                f"{path} holds no {kind} weights; name a file that `fumikura train {kind}` wrote for pages"
            )
    recipe = make_recipe(segmenter, classifier, context, context_weight=settings.context_weight)
    parameters = replace(recipe.parameters, leaves=settings.leaves, is_as_is=settings.is_as_is)
    return replace(recipe, parameters=parameters)


def find_context(settings: Settings) -> Path | None:
    """Find the weights file of the context; None if the settings give it no weight.

    Raises:
        CheckpointError: there is no such file.
    """
    return find_weights("context", settings.context_path) if settings.context_weight else None


def make_recipe(
    segmenter: Path, classifier: Path, context: Path | None = None, *, context_weight: float = 0.0
) -> Recipe:
    """Make the recipe that these weights files give, without context if there is none. Needs no torch."""
    used = None if context is None else ContextUse(_file_digest(context), context_weight)
    return Recipe(
        _file_digest(segmenter),
        _file_digest(classifier),
        Parameters(context=used),
        learnt_pages=learnt_pages(segmenter) | learnt_pages(classifier),
    )


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
