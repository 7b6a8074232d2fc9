"""Any model of timm as a backbone: its intermediate features, under timm's own names of tensors."""

import difflib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.models.network import Backbone
from pipeline.models.normalization import Normalization
from pipeline.runtime import import_timm

timm = import_timm()

_LEVELS = 4
"""Of the pyramid: the last stages of a network of stages, blocks at equal distances of a plain transformer."""

_ANY_SIZE: tuple[dict[str, bool], ...] = ({}, {"dynamic_img_size": True}, {"strict_img_size": False})
"""What makes a model take images of other sizes than those that it was trained on; each family knows one of them."""


class TimmBackbone(Backbone):
    """A model of timm without its classifier; images are multiples of its largest stride.

    A plain transformer gives the features of four of its blocks, all at the stride of its patches and each behind the last
    normalization, as its authors take them for dense tasks (Oquab et al., DINOv2, 2023, Sec. 7.4). Position embeddings are
    interpolated to the size of the image.
    """

    def __init__(self, name: str, output_stride: int) -> None:
        """Build it with random weights from torch's global generator.

        Args:
            name: of timm, with or without the tag of its weights.
            output_stride: pixels per feature of the last level: its natural one, or a smaller one that dilation can give.

        Raises:
            ValueError: timm does not know the name, or cannot build it with that stride or for images of other sizes.
        """
        super().__init__()
        config = _config_of(name)
        self.normalization = Normalization(config.mean, config.std)
        any_size, whole = _any_size(name)
        natural = [int(level["reduction"]) for level in whole.feature_info]
        self.is_plain = len(set(natural)) == 1
        places = [(place + 1) * len(natural) // _LEVELS - 1 for place in range(_LEVELS)]
        indices = places if self.is_plain else list(range(len(natural)))[-_LEVELS:]
        options = any_size if output_stride == natural[-1] else {"output_stride": output_stride, **any_size}
        self.model: Any = _build(name, output_stride, natural[-1], options)
        levels = self.model.feature_info
        self.channels = tuple(int(levels[index]["num_chs"]) for index in indices)
        self.strides = tuple(int(levels[index]["reduction"]) for index in indices)
        self.multiple = max(self.strides)
        if hasattr(self.model, "prune_intermediate_layers"):
            indices = self.model.prune_intermediate_layers(indices, prune_norm=not self.is_plain)
        self._indices = indices
        self._beyond = {*whole.state_dict()} - {*self.model.state_dict()}
        classifiers = (config.classifier,) if isinstance(config.classifier, str) else config.classifier or ()
        self._beyond |= {f"{classifier}.{kind}" for classifier in classifiers for kind in ("weight", "bias")}

    def forward(self, images: Tensor) -> Sequence[Tensor]:
        """Return the features of four levels of (N,3,H,W), H and W multiples of `multiple`."""
        if not hasattr(self.model, "forward_intermediates"):
            levels: list[Tensor] = self.model(images)
            return levels[-len(self._indices) :]
        features: list[Tensor] = self.model.forward_intermediates(
            images, indices=self._indices, norm=self.is_plain, output_fmt="NCHW", intermediates_only=True
        )
        return features

    def layers(self) -> list[list[nn.Parameter]]:
        """Return the parameters by layer as timm groups them: the stem, each block, what follows the last one."""
        if not hasattr(self.model, "group_matcher"):
            return []
        depths = timm.models.group_parameters(self.model, self.model.group_matcher(coarse=False), reverse=True)
        layers: list[list[nn.Parameter]] = [[] for _ in range(max(depths.values()) + 1)]
        for name, parameter in self.model.named_parameters():
            layers[depths[name]].append(parameter)
        return [layer for layer in layers if layer]

    def own_tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a file's tensors under the names of this module, from any format that timm converts; the classifier goes."""
        convert = getattr(sys.modules[type(self.model).__module__], "checkpoint_filter_fn", None)
        converted = dict(tensors if convert is None else convert(dict(tensors), self.model))
        return {f"model.{name}": tensor for name, tensor in converted.items() if name not in self._beyond}


def _config_of(name: str) -> Any:  # noqa: ANN401 - timm's class, which has no types
    """Return what timm knows of the weights that belong to a name: their normalization, licence and place."""
    known, tag = timm.models.is_model(name), name.partition(".")[2]
    if known and (not tag or name in timm.list_models(name.partition(".")[0] + ".*", include_tags=True)):
        return timm.get_pretrained_cfg(name) or timm.models.PretrainedCfg()
    names = timm.list_models(include_tags=known)
    near = difflib.get_close_matches(name, [*names], n=5, cutoff=0.5) or ["tf_efficientnet_lite0", "convnext_tiny"]
    raise ValueError(
        f"model.backbone - expected a model of timm {timm.__version__} - found {name} - choose one of {', '.join(near)}, ..."
    )


def _any_size(name: str) -> tuple[dict[str, bool], Any]:
    """Return the options with which a model takes images of any size, and the model on the device `meta`."""
    found = ""
    for options in _ANY_SIZE:
        try:
            with torch.device("meta"), torch.no_grad():
                model = timm.create_model(name, num_classes=0, **options)
                side = max(int(level["reduction"]) for level in model.feature_info)
                model.forward_intermediates(torch.empty(2, 3, 5 * side, 7 * side), intermediates_only=True)
        except Exception as error:  # noqa: BLE001 - what a model cannot do shows in errors of any type
            found = found or str(error).strip().partition("\n")[0]
        else:
            return options, model
    raise ValueError(
        f"model.backbone - expected a model whose features can be had for images of any size - found {name}: {found}"
        " - choose another"
    )


def _build(name: str, output_stride: int, natural: int, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
    """Build a model at a stride: whole, or where its family dilates in a class of its own, that, which gives features alone."""
    reasons = []
    for part in ({"num_classes": 0}, {"features_only": True}):
        try:
            model = timm.create_model(name, **part, **options)
        except (TypeError, AssertionError, NotImplementedError) as error:
            reasons.append(error)
        else:
            if model.feature_info[-1]["reduction"] == output_stride:
                return model
    raise ValueError(
        f"model.output_stride - expected {natural}, the stride of {name}, or a smaller one that it can be dilated to"
        f" - found {output_stride} - set model.output_stride={natural}"
    ) from (reasons[0] if reasons else None)
