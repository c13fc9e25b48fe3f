"""How much is done for a page, counted: seconds differ from machine to machine, work does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode, resolve_name

from fumikura.core.archives.images import decode
from fumikura.core.page import PageImage
from fumikura.core.recognition.models.inference import Fill
from fumikura.core.recognition.reader import PageReader, load_reader
from fumikura.core.recognition.recipe import Parameters
from fumikura.core.settings import Settings
from tests import handmade

N_PAGES = 4


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> PageReader:
    segmenter, classifier = handmade.write_weights(tmp_path_factory.mktemp("weights"))
    settings = Settings(
        segmenter_path=segmenter,
        classifier_path=classifier,
        precision="fp32",
        patches_per_batch=8,  # as on a GPU
        crops_per_batch=8,
    )
    return load_reader(settings, "cpu")


@pytest.fixture(scope="module")
def pages() -> list[PageImage]:
    return [
        decode(handmade.page_png(number), long_side=Parameters().long_side, max_pixels=10**6)
        for number in range(N_PAGES)
    ]


def test_no_pixel_of_a_page_is_computed_twice(
    reader: PageReader, pages: list[PageImage], batches: list[tuple[int, ...]]
) -> None:
    reader.read(pages)

    n_pixels = sum(shape[0] * shape[2] * shape[3] for shape in batches if shape[1] == 3)
    # The sides of these pages are multiples of the network's stride.
    assert n_pixels == sum(page.pixels.shape[0] * page.pixels.shape[1] for page in pages)


def test_batches_are_filled_across_pages(
    reader: PageReader, pages: list[PageImage], batches: list[tuple[int, ...]]
) -> None:
    reader.read(pages)

    # Four patches of three colours in one batch; twelve crops in one of eight and one of four.
    assert [shape[:2] for shape in batches] == [(4, 3), (8, 1), (4, 1)]


def test_the_batches_that_are_counted_are_those_that_the_networks_get(
    reader: PageReader, pages: list[PageImage], batches: list[tuple[int, ...]]
) -> None:
    fills = reader.count_batches()

    reader.read(pages)

    n_pixels = {channels: sum(n * h * w for n, c, h, w in batches if c == channels) for channels in (3, 1)}
    # In batches that have room for eight.
    assert fills == {"patches": Fill(4, 8, n_pixels[3]), "crops": Fill(12, 16, n_pixels[1])}


def test_a_batch_waits_for_the_device_twice_a_page_at_most(
    reader: PageReader, pages: list[PageImage]
) -> None:
    with _Waits() as waits:
        reader.read(pages)

    # In the middle: how many peaks a page has, and which of them are parts of a character. At the end:
    # all boxes, probabilities and labels in one piece each, and the mask of each page.
    assert waits.counts == {"nonzero": N_PAGES, "boolean index": N_PAGES, "cpu": 3 + N_PAGES}


@pytest.fixture
def batches(reader: PageReader) -> Iterator[list[tuple[int, ...]]]:
    """Shapes of what the networks are given."""
    shapes: list[tuple[int, ...]] = []

    def note(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        shapes.append(tuple(inputs[0].shape))

    networks = (reader._segmenter.batches._model, reader._classifier.batches._model)
    hooks = [network.register_forward_pre_hook(note) for network in networks]
    yield shapes
    for hook in hooks:
        hook.remove()


class _Waits(TorchFunctionMode):
    """Counts the calls that would have to wait until a device has done all it was told before."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        arguments: tuple[Any, ...] = (),
        options: dict[str, Any] | None = None,
    ) -> Any:
        name = (resolve_name(function) or "").rpartition(".")[2]
        if name == "__getitem__":
            name = "boolean index" if getattr(arguments[1], "dtype", None) == torch.bool else ""
        if name in {"cpu", "item", "nonzero", "boolean index", "__bool__", "__int__", "__float__"}:
            self.counts[name] += 1
        return function(*arguments, **(options or {}))
