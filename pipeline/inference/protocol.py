"""The protocol of a test: in one line, for whoever compares two figures, and the choice between a model's own and another."""

from collections.abc import Callable

from pipeline.params import InferenceParams, InferenceProtocol


def describe_protocol(params: InferenceParams, *, data: str, images: int) -> str:
    """Say how, and on how many validation images of which data set, a network was tested; all are scored at their own size."""
    precision = "" if params.precision == "float32" else f", {params.precision}"
    return f"{images} val images of {data}, {describe_views(params)}{precision}"


def describe_views(protocol: InferenceProtocol) -> str:
    """Say how a network sees each image; what a protocol does not use is left out."""
    windows = "whole image"
    if protocol.sliding_window:
        windows = f"windows {protocol.window_height}x{protocol.window_width} at stride {protocol.stride_ratio:g}"
    size = "own size" if protocol.long_side is None else f"long side {protocol.long_side}"
    scales = "scale " + ", ".join(format(scale, "g") for scale in protocol.scales)
    return f"{size}, {windows}, {scales}, {'with flip' if protocol.flip else 'no flip'}"


def choose_protocol(
    params: InferenceParams, trained: InferenceProtocol, *, ours: bool, say: Callable[[str], None]
) -> InferenceParams:
    """Return `params` with the protocol to use: `ours`, that of `params`, or the one that the network was trained for.

    `say` is called with a line that names it, and the other where that differs.
    """
    model, here = ("the model", describe_views(trained)), ("`inference` of params.yaml", describe_views(params))
    (used, chosen), (unused, other) = (here, model) if ours else (model, here)
    say(f"protocol of {used}: {chosen}" + (f"; that of {unused}, {other}, is not used" if chosen != other else ""))
    return params if ours else params.model_copy(update=dict(trained))
