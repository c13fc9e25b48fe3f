"""OpenVINO computes networks in bf16 on a CPU in two thirds of torch's time; this module hands them to it.

It is used where it is installed (`fumikura[cpu]`), and asked without its telemetry: its own front end
is called, not `openvino.convert_model`, which reports itself to its makers.
"""

from __future__ import annotations

import warnings
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

#: What OpenVINO calls a precision.
_HINTS = {"fp32": "f32", "bf16": "bf16"}
#: Batches have one row, or a multiple of so many.
_ROWS = 32
_WITH_WEIGHTS = ("Convolution", "ConvolutionBackpropData", "MatMul")


@cache
def is_installed() -> bool:
    """Tell whether OpenVINO is here, without loading it."""
    return find_spec("openvino") is not None


class OnOpenVino(nn.Module):
    """This network computes in OpenVINO, and takes and gives torch's tensors.

    Its last layers compute in fp32 whatever the others do: sizes of characters would come in steps, and
    labels that are nearly as likely would be chosen by rounding.

    Args:
        graph: an `openvino.Model`, as `converted` or a file gives it; it is taken apart.
        precision: "fp32" or "bf16".
    """

    def __init__(self, graph: Any, *, precision: str) -> None:
        super().__init__()
        body, head = _taken_apart(graph)
        #: How many of the inputs the body takes; those after them go to the head.
        self._n_first = len(body.inputs)
        self._body = _compiled(body, _HINTS[precision])
        self._head = _compiled(head, _HINTS["fp32"])

    def forward(self, *inputs: Tensor) -> Tensor:
        """Give what the network gives; its output is the caller's own."""
        n_rows = len(inputs[0])
        given = [_as_array(_filled_up(one)) for one in inputs]
        self._body.infer(given[: self._n_first], share_inputs=True)
        inner = self._body.get_output_tensor(0)
        self._head.infer([inner, *given[self._n_first :]], share_inputs=True)
        return torch.from_numpy(self._head.get_output_tensor(0).data[:n_rows].copy())


def converted(model: nn.Module, *examples: Tensor) -> Any:
    """Turn a network in evaluation mode into an `openvino.Model` for inputs of any size.

    Args:
        examples: small inputs of it. Where the first is of bytes, (B, C, H, W), the graph takes bytes
            (B, H, W, C), as pages lie in memory.
    """
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch would rather be asked to export; sizes stay free this way
        traced = TorchScriptPythonDecoder(
            model,
            example_input=tuple(example.float() for example in examples),
            trace_kwargs={"check_trace": False},
        )
        front_end = FrontEndManager().load_by_framework("pytorch")
        graph = front_end.convert(front_end.load(traced))
    for given, example in zip(graph.inputs, examples, strict=True):
        given.get_node().set_partial_shape(_any_size(example))
        given.get_node().set_element_type(_types().Type.f32)
    graph.validate_nodes_and_infer_types()
    return _from_bytes(graph) if examples[0].dtype == torch.uint8 else graph


def layers_with_weights(graph: Any) -> list[Any]:
    """List the convolutions and linear layers of a graph in their order."""
    return [layer for layer in graph.get_ordered_ops() if layer.get_type_name() in _WITH_WEIGHTS]


def first_of_head(graph: Any) -> Any:
    """Find the layer that begins the head: the first linear one, or else the last convolution."""
    layers = layers_with_weights(graph)
    return next((layer for layer in layers if layer.get_type_name() == "MatMul"), layers[-1])


def _filled_up(given: Tensor) -> Tensor:
    """Add rows to a batch until it has one of few sizes: for each, OpenVINO makes its kernels anew."""
    n_more = -len(given) % _ROWS if len(given) > 1 else 0
    return torch.cat([given, given.new_zeros(n_more, *given.shape[1:])]) if n_more else given


def _as_array(given: Tensor) -> Any:
    if given.dtype == torch.uint8:
        return given.permute(0, 2, 3, 1).contiguous().numpy()
    return given.float().contiguous().numpy()


def _from_bytes(graph: Any) -> Any:
    from openvino.preprocess import PrePostProcessor

    before = PrePostProcessor(graph)
    before.input(0).tensor().set_element_type(_types().Type.u8).set_layout(_types().Layout("NHWC"))
    before.input(0).model().set_layout(_types().Layout("NCHW"))
    return before.build()


def _any_size(example: Tensor) -> Any:
    # Channels are what the network was made for; how many there are, and how large, is free.
    sizes = [-1 if number != 1 else size for number, size in enumerate(example.shape)]
    return _types().PartialShape(sizes)


def _taken_apart(graph: Any) -> tuple[Any, Any]:
    """Cut a graph in two before its head; inputs behind the last that the body needs go to the head."""
    openvino = _types()
    source, inputs = first_of_head(graph).input_value(0), graph.get_parameters()
    needed = _names_above(source.get_node())
    n_first = 1 + max(number for number, one in enumerate(inputs) if one.get_name() in needed)
    body = openvino.Model([source], inputs[:n_first], "body")
    inner = openvino.opset13.parameter(source.get_partial_shape(), source.get_element_type())
    first_of_head(graph).input(0).replace_source_output(inner.output(0))
    return body, openvino.Model(graph.get_results(), [inner, *inputs[n_first:]], "head")


def _names_above(node: Any) -> set[str]:
    """Name all nodes that a node is made of."""
    found, waiting = set(), [node]
    while waiting:
        one = waiting.pop()
        if one.get_name() not in found:
            found.add(one.get_name())
            waiting += [source.get_node() for source in one.input_values()]
    return found


def _compiled(graph: Any, hint: str) -> Any:
    options = {
        "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "NUM_STREAMS": 1,
        # Each worker would bind its threads to the first cores, and all would share them.
        "ENABLE_CPU_PINNING": False,
    }
    return _types().Core().compile_model(graph, "CPU", options).create_infer_request()


def _types() -> Any:
    import openvino

    return openvino
