"""The protocol of an evaluation in one line, for whoever compares two figures."""

from pipeline.params import InferenceParams


def describe_protocol(params: InferenceParams, *, data: str, images: int) -> str:
    """Say how, and on how many validation images of which data set, a network was tested; all are scored at their own size."""
    windows = "whole image"
    if params.sliding_window:
        windows = f"windows {params.window_height}x{params.window_width} at stride {params.stride_ratio:g}"
    size = "own size" if params.long_side is None else f"long side {params.long_side}"
    scales = "scale " + ", ".join(format(scale, "g") for scale in params.scales)
    flip = "with flip" if params.flip else "no flip"
    precision = "" if params.precision == "float32" else f", {params.precision}"
    return f"{images} val images of {data}, {size}, {windows}, {scales}, {flip}{precision}"
