"""This module loads the two networks on a device, ready for batches of any length."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from fumikura.core.recognition.models.checkpoint import load_classifier, load_segmenter
from fumikura.core.recognition.models.loaded import LoadedClassifier
from fumikura.core.recognition.models.on_openvino import OnOpenVino, converted
from fumikura.core.recognition.models.precision import dtype_of, find_precision, is_openvinos
from fumikura.core.recognition.out_of_memory import is_out_of_memory

log = logging.getLogger(__name__)

#: Images of single characters in a batch; their classifiers are small.
CROPS_AT_ONCE = 256


class Segmenter:
    """A segmenter maps patches to score maps."""

    def __init__(self, path: Path, *, device: str, precision: str, patches_per_batch: int) -> None:
        model, self.config = load_segmenter(path)
        begin_with_bytes(model)
        example = torch.zeros(1, 3, 2 * self.config.stride, 2 * self.config.stride, dtype=torch.uint8)
        self.batches = ready(model, example, device=device, precision=precision, batch_size=patches_per_batch)

    def maps(self, patches: Tensor) -> Tensor:
        """Make score maps (N, 4, P, Q) on the device: mask and centre in [0, 1], log width, log height.

        Args:
            patches: uint8 (N, 3, P, Q).
        """
        return self.batches(patches, self._score)

    def _score(self, model: nn.Module, patches: Tensor) -> Tensor:
        if not isinstance(model, OnOpenVino):  # which takes bytes as they are
            patches = patches.to(self.batches.dtype)  # bf16 and fp16 hold all numbers up to 256
        maps: Tensor = model(patches)
        maps[:, :2].sigmoid_()
        return maps


class Classifier:
    """A classifier maps crops to labels."""

    def __init__(self, path: Path, *, device: str, precision: str, crops_per_batch: int) -> None:
        model, self.config, self.vocabulary = load_classifier(path)
        side = self.config.crop_side
        examples = torch.rand(2, 1, side, side), torch.zeros(2, 2)
        self.batches = ready(model, *examples, device=device, precision=precision, batch_size=crops_per_batch)

    def look(self, crops: Tensor, shapes: Tensor) -> tuple[Tensor, Tensor]:
        """Say how likely each label is, and where in the crop its character lies, on the device.

        Args:
            crops: (M, 1, S, S).
            shapes: (M, 2) of their boxes (`crops.box_shapes`).

        Returns:
            probabilities (M, C), and corners (M, 4) in [-1, 1] of the crop, or (M, 0) from weights that
            find no boxes.
        """
        n_labels = len(self.vocabulary)
        if not len(crops):
            return crops.new_empty(0, n_labels), crops.new_empty(0, 4 if self.config.finds_boxes else 0)
        found = self.batches(crops, lambda model, batch, told: model(batch / 255, told), shapes)
        return found[:, :n_labels].softmax(dim=1), found[:, n_labels:]


def likeliest(
    classifier: LoadedClassifier, crops: Iterable[Tensor], *, device: str, n_labels: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Find probabilities and class numbers of the likeliest labels, (M, K) each, best first.

    In single precision, so that figures are the same on every machine.

    Args:
        crops: one batch or more, as `LoadedClassifier.crops_of` makes them.
        n_labels: K; fewer if there are fewer labels.
    """
    batches = Batches(classifier.model, device=device, precision="fp32", batch_size=CROPS_AT_ONCE)
    n_labels = min(n_labels, len(classifier.labels))
    best = []
    for some in crops:
        logits = batches(some, lambda model, batch: model(batch).float())
        best.append(logits.softmax(dim=1).topk(n_labels, dim=1))
    probabilities, numbers = (torch.cat(parts).cpu().numpy() for parts in zip(*best, strict=True))
    return probabilities, numbers


@dataclass(slots=True)
class Fill:
    """This counts what went into the batches of one network.

    Attributes:
        n_inputs: patches or crops.
        n_slots: for how many there was room in the batches that they made.
        n_pixels: of all inputs together.
    """

    n_inputs: int = 0
    n_slots: int = 0
    n_pixels: int = 0

    @property
    def share(self) -> float | None:
        """Return the share of slots that held something real; None before the first batch."""
        return self.n_inputs / self.n_slots if self.n_slots else None

    def add(self, batch: Tensor, n_slots: int) -> None:
        self.n_inputs += len(batch)
        self.n_slots += n_slots
        self.n_pixels += batch[:, 0].numel()


class Batches:
    """A model on its device is fed batch by batch; the batch shrinks when memory is short.

    Attributes:
        dtype: of most numbers that torch computes with.
        fill: counts what the model is fed; put a new one in its place to count from now on.
    """

    def __init__(self, model: nn.Module, *, device: str, precision: str, batch_size: int) -> None:
        self._device = torch.device(device)
        self._model: nn.Module = model.to(self._device).to(memory_format=torch.channels_last)
        self.dtype = dtype_of(find_precision(precision, device))
        self._batch_size = batch_size
        self.fill = Fill()

    def __call__(self, inputs: Tensor, run: Callable[..., Tensor], *beside: Tensor) -> Tensor:
        """Feed all inputs to the model, and join what `run` makes of the model and of each batch.

        Args:
            beside: tensors as long as the inputs, of which `run` is given the same rows.
        """
        outputs = []
        start = 0
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, dtype=self.dtype, enabled=self.dtype != torch.float32),
        ):
            while start < len(inputs):
                batch = inputs[start : start + self._batch_size]
                try:
                    more = (rows[start : start + self._batch_size].to(self._device) for rows in beside)
                    on_device = batch.to(self._device, memory_format=torch.channels_last)
                    outputs.append(run(self._model, on_device, *more))
                except (MemoryError, RuntimeError) as error:
                    if self._batch_size == 1 or not is_out_of_memory(error):
                        raise
                    # Remembered: what did not fit once will not fit the next time.
                    self._batch_size = max(1, len(batch) // 2)
                    log.warning(
                        "out of memory with %d at once; going on with %d", len(batch), self._batch_size
                    )
                    continue
                self.fill.add(batch, self._batch_size)
                start += len(batch)
        return torch.cat(outputs) if len(outputs) > 1 else outputs[0]


def ready(model: nn.Module, *examples: Tensor, device: str, precision: str, batch_size: int) -> Batches:
    """Make a network that was loaded ready for reading: as fast as this machine can.

    Args:
        examples: small inputs of it.
    """
    fold_normalisation(model)
    precision = find_precision(precision, device)
    if is_openvinos(device, precision):
        network: nn.Module = OnOpenVino(converted(model, *examples), precision=precision)
        precision = "fp32"  # what torch has still to do
    else:
        end_in_single_precision(model)
        network = model
    return Batches(network, device=device, precision=precision, batch_size=batch_size)


def begin_with_bytes(model: nn.Module) -> None:
    """Let the first convolution divide by 255, in place: the model takes pixels from 0 to 255, not to 1."""
    first = next(layer for layer in model.modules() if isinstance(layer, nn.Conv2d))
    first.weight.data /= 255


def end_in_single_precision(model: nn.Module) -> None:
    """Let the last two layers that have weights compute in fp32, whatever the others do, in place.

    In bf16 sizes of characters would come in steps of three per cent, and labels that are nearly as
    likely would be chosen by rounding (docs/performance.md says how many).
    """
    layers = [name for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for name in layers[-2:]:
        model.set_submodule(name, _InSinglePrecision(model.get_submodule(name)))


class _InSinglePrecision(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            y: Tensor = self.layer(x.float())
        return y


def fold_normalisation(model: nn.Module) -> None:
    """Put each batch normalisation into the layer before it, in place; the model says what it said.

    Jacob et al. 2018, arXiv:1712.05877, section 3.2. The model must be in evaluation mode, and can learn
    no more.
    """
    for chain in model.modules():
        if not isinstance(chain, nn.Sequential):
            continue
        for number, (layer, normalised) in enumerate(pairwise(list(chain))):
            if isinstance(layer, nn.Conv2d) and isinstance(normalised, nn.BatchNorm2d):
                chain[number], chain[number + 1] = fuse_conv_bn_eval(layer, normalised), nn.Identity()
            elif isinstance(layer, nn.Linear) and isinstance(normalised, nn.BatchNorm1d):
                chain[number], chain[number + 1] = fuse_linear_bn_eval(layer, normalised), nn.Identity()
