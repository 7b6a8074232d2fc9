"""The sections of `params.yaml`: every number of an experiment, typed and checked once, at the door.

`params.yaml` is the one place with values; nothing here has a default. A wrong value is answered by one line that names the
file, the key path, what was expected and what was found.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from pipeline.schema import Section, read_section, read_yaml

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Ratio = Annotated[float, Field(gt=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]
Side = Annotated[int, Field(ge=1, le=65_536)]
RoundKey = Annotated[str, Field(pattern=r"^[1-9][0-9]*$")]
# YAML knows lists only; a frozen section holds tuples.
_AsTuple = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)


class StreetsParams(Section):
    """The embedded procedural data set."""

    seed: Annotated[int, Field(ge=0)]
    """Seed of the scenes; the split is drawn from the top-level seed."""
    train_images: Count
    """Scenes of the train pool, labeled and unlabeled together."""
    val_images: Count
    """Scenes for evaluation."""
    height: Annotated[int, Field(ge=32)]
    """Pixels."""
    width: Annotated[int, Field(ge=64)]
    """Pixels."""


class CamVidParams(Section):
    """CamVid in the layout of the SegNet tutorial (train, trainannot, val, valannot, optionally test, testannot)."""

    val_sequence: Literal["0001TP", "0006R0", "0016E5", "Seq05VD"] | None
    """Video sequence held out for evaluation; null = the val folder as shipped, which overlaps the train videos."""


class CityscapesParams(Section):
    """Cityscapes as its packages unpack (leftImg8bit, gtFine)."""

    labels: Literal["label_ids", "label_train_ids"]
    """Which of gtFine's files to read: `*_labelIds.png` as downloaded, or `*_labelTrainIds.png` that cityscapesscripts makes."""
    train_extra: bool
    """Add the 20k images of leftImg8bit/train_extra to the unlabeled ones; their coarse labels are never read."""


class VocParams(Section):
    """PASCAL VOC 2012 as its archive unpacks (VOCdevkit/VOC2012)."""

    augmentation: Literal["none", "sbd", "segmentation_class_aug"]
    """Where the other 9118 images of the augmented train set are listed: nowhere, in SBD as its archive unpacks
    (benchmark_RELEASE/dataset), or as the PNGs of VOC2012/SegmentationClassAug."""


class ScanNetParams(Section):
    """ScanNet's 2D benchmark (scannet_frames_25k and the lists of scenes)."""

    labels: Literal["nyu40", "raw"]
    """Ids in the label PNGs: NYU40 as in scannet_frames_25k, or the 16-bit ids of the full export, which need
    scannetv2-labels.combined.tsv beside them."""


class Gta5Params(Section):
    """GTA5 (Playing for Data) as its archives unpack (images, labels)."""

    labels: Literal["index", "color"]
    """`index`: palette PNGs as downloaded, whose indices are Cityscapes' label ids; `color`: copies saved as RGB."""


DataSetName = Literal["streets", "camvid", "cityscapes", "voc", "scannet", "gta5", "folder"]


class DataParams(Section):
    """Which images, and which of them are labeled."""

    name: DataSetName
    """Data set; in domain adaptation the target, which gives the unlabeled and the validation images."""
    root: Annotated[str, Field(min_length=1)]
    """Folder of the raw data, of one's own also a zip, relative to the project or absolute; only read, never written."""
    source: DataSetName | None
    """Domain adaptation: the data set that gives the labeled images; null = `name` gives them too."""
    source_root: Annotated[str, Field(min_length=1)]
    """Folder of the source's raw data; read only with `source`."""
    labeled_fraction: Annotated[float, Field(gt=0.0, le=1.0)] | None
    """Share of the train pool whose labels are used; splits of one seed are nested across fractions. 1.0 = every image that has
    a label file; null = the labeled set that the data set itself defines (voc: train.txt)."""
    labeled_list: FileName | None
    """File in data/lists with the image ids of the labeled set, one per line; null = as `labeled_fraction` says."""
    unlabeled_list: FileName | None
    """File in data/lists with the image ids of the unlabeled set; null = the rest of the train pool."""
    unlabeled_count: Count | None
    """How many of the unlabeled images to use, a random draw that is nested across counts; null = all."""
    holdout_fraction: Annotated[float, Field(ge=0.0, lt=1.0)]
    """Share of the labeled images that no network trains on, for a calibrator to be fitted on; 0 = none."""
    val_list: FileName | None
    """File in data/lists with the image ids to evaluate on; null = the data set's own."""
    val_fraction: Annotated[float, Field(gt=0.0, lt=1.0)]
    """Share of the images with a label file that is held out for evaluation where the data set has no such part of its own."""
    priors: FileName
    """Class shares that pseudo labels are aligned with: `labeled` (those of the labeled set; in domain adaptation the source's),
    `source` (the same, and there must be one), `val` (those of the validation set, as the paper's DARS (TD): it leaks), or a
    file in data/lists: NAME.json with a share or a pixel count by class, NAME.txt with ids of images whose labels are counted."""
    streets: StreetsParams
    camvid: CamVidParams
    cityscapes: CityscapesParams
    voc: VocParams
    scannet: ScanNetParams
    gta5: Gta5Params

    @model_validator(mode="after")
    def _known_priors(self) -> Self:
        if self.priors not in {"labeled", "source", "val"} and not self.priors.endswith((".json", ".txt")):
            raise ValueError(f"priors is {self.priors!r}, expected labeled, source, val, NAME.json or NAME.txt")
        if self.priors == "source" and self.source is None:
            raise ValueError("priors is 'source', but source is null")
        return self


TORCHVISION_BACKBONES = ("resnet18", "resnet34", "resnet50", "resnet101", "mobilenet_v3_large")
"""Names of `model.backbone` that mean torchvision's networks; `tiny` is our own, all others are timm's."""

_OUTPUT_STRIDES = {
    "tiny": (4, 8, 16),
    "mobilenet_v3_large": (16,),
    **dict.fromkeys(TORCHVISION_BACKBONES[:-1], (8, 16, 32)),
}  # what timm's models can have is known where they are built


class ModelParams(Section):
    """The segmentation network; stored in every checkpoint, so only training reads this section."""

    network: Literal[
        "pspnet", "deeplabv2", "deeplabv3", "lraspp", "deeplabv3plus", "unet", "fpn", "upernet", "segformer", "linear", "dpt"
    ]
    """Segmentation network: the paper's `pspnet` and `deeplabv2`, torchvision's `deeplabv3` and `lraspp`, the decoders
    `deeplabv3plus`, `unet`, `fpn`, `upernet` and `segformer` of segmentation_models_pytorch, and for plain transformers `linear`
    or its `dpt`."""
    backbone: Annotated[str, Field(pattern=r"^[a-z0-9][A-Za-z0-9_.-]*$")]
    """`tiny`, for CPUs and always from scratch; torchvision's `resnet18`, `resnet34`, `resnet50`, `resnet101`, and
    `mobilenet_v3_large` (the only one for lraspp); or any model of timm, with or without the tag of its
    weights: `tf_efficientnet_lite0`, `convnext_tiny.in12k_ft_in1k`, `vit_small_patch14_dinov2`."""
    output_stride: Annotated[int, Field(ge=1, le=64)]
    """Input pixels per feature: 4, 8 or 16 for `tiny`, 8, 16 or 32 for a ResNet, 16 for `mobilenet_v3_large`; for a model of timm
    its own (the side of a transformer's patches), or a smaller one that dilation gives. The paper: 8."""
    bins: Annotated[tuple[Count, ...], _AsTuple, Field(min_length=1)]
    """Grid sizes of the pyramid pooling; read by pspnet alone. PSPNet: 1, 2, 3, 6."""
    head_width: Count
    """Channels of the fused head feature; read by pspnet and the decoders. PSPNet on ResNet-50: 512; DeepLabv3+: 256."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)]
    """Dropout before the classifiers of pspnet and the decoders, and the auxiliary one of deeplabv2; deeplabv3 keeps
    torchvision's, lraspp has none. The paper's release: 0.1."""
    auxiliary: bool
    """Auxiliary head on the last level of features but one (layer3 of a ResNet, block 4 of mobilenet_v3_large); lraspp has none.
    The paper: for pspnet, not for deeplabv2."""
    weights: Annotated[str, Field(min_length=1)]
    """`none` (from scratch), `imagenet` (those that torchvision or timm name for the backbone, of ImageNet where its tag says
    nothing else; they need a network, but for tf_efficientnet_lite0, whose weights are installed) or a .safetensors / state-dict
    file."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.network == "lraspp" and self.backbone != "mobilenet_v3_large":
            raise ValueError(f"backbone is {self.backbone!r}, expected 'mobilenet_v3_large' for the network lraspp")
        if self.network == "lraspp" and self.auxiliary:
            raise ValueError("auxiliary is true, expected false for the network lraspp, which has no auxiliary head")
        strides = _OUTPUT_STRIDES.get(self.backbone)
        if strides and self.output_stride not in strides:
            expected = " or ".join(map(str, strides))
            raise ValueError(f"output_stride is {self.output_stride}, expected {expected} for the backbone {self.backbone}")
        if self.backbone == "tiny" and self.weights == "imagenet":
            raise ValueError("weights is 'imagenet', expected none or a file: the backbone tiny has no ImageNet weights")
        return self


class TrainingParams(Section):
    """What pretraining and every student training share."""

    optimizer: Literal["sgd", "adamw"]
    """`sgd` with momentum, as the paper; `adamw` (Loshchilov and Hutter, ICLR 2019), with which transformers are trained: betas
    0.9 and 0.999, no decay of biases and normalization."""
    learning_rate: Annotated[float, Field(gt=0.0)]
    """Base rate at the start of the schedule. The paper: 0.01 for sgd; for adamw some 1e-4."""
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)]
    """Of sgd. The paper: 0.9."""
    weight_decay: Annotated[float, Field(ge=0.0)]
    """The paper: 1e-4 for sgd; for adamw some 0.01."""
    poly_power: Annotated[float, Field(gt=0.0)]
    """Exponent of the polynomial schedule, stepped per iteration. The release: 0.9."""
    head_factor: Annotated[float, Field(gt=0.0)]
    """Learning-rate factor of the heads over the backbone. The release: 10."""
    layer_decay: Ratio
    """Factor on the learning rate from each layer of the backbone to the one below it, for pretrained transformers of timm: some
    0.75 to 0.9 (Bao et al., BEiT, ICLR 2022); 1 = all layers alike."""
    freeze_backbone: bool
    """Train the heads alone; the backbone keeps its weights, and its normalization its statistics."""
    auxiliary_weight: Annotated[float, Field(ge=0.0)]
    """Weight of the auxiliary head's loss. The release: 0.4."""
    focal_gamma: Annotated[float, Field(ge=0.0)]
    """Exponent of the focal loss; 0 = cross entropy, as the paper trains. Its Table 5: 2."""
    accumulate: Count
    """Parts in which a batch goes through the network, one after another: as many times less memory for features, the same sum of
    gradients; batch normalization sees each part alone. Batch sizes are multiples of it."""
    checkpoint_blocks: bool
    """Compute the blocks of the backbone a second time in the backward pass instead of keeping their features: less memory, a
    third more time, the same gradients."""
    ohem_threshold: Annotated[float, Field(ge=0.0, le=1.0)]
    """Online hard example mining: train on the pixels whose label has a probability below it. Usual: 0.7; 0 = on all pixels, as
    the paper."""
    ohem_min_share: Ratio
    """The hardest pixels of a crop that are trained on in any case, over its labeled pixels. Usual: some 0.1."""
    precision: Literal["float32", "bfloat16"]
    """In which the network computes (autocast); weights, gradients' sums and losses are float32 in both."""
    log_every: Count
    """Steps that one row of the curve averages."""
    snapshot_every: Annotated[int, Field(ge=0)]
    """Steps after which a checkpoint is kept, again and again, for the validation curve; 0 = only the last, as the paper."""


class LengthParams(Section):
    """Length of a training: `epochs`, or a fixed number of `steps`; exactly one is set."""

    epochs: Count | None
    """Passes over the images (of the unlabeled set for a student); the last batch wraps around."""
    steps: Count | None
    """Optimizer steps, whatever the number of images."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("set exactly one of epochs and steps, the other to null")
        return self


class PretrainParams(LengthParams):
    """Round 0: labeled images alone (Sec. 3.1, step 1)."""

    batch_size: Count
    """Crops per step. The paper: 16."""


class StudentParams(LengthParams):
    """Rounds k >= 1: labeled and pseudo-labeled images (Sec. 3.1, step 3, Eq. 2)."""

    labeled_batch_size: Count
    """Labeled crops per step. The paper: 8."""
    unlabeled_batch_size: Count
    """Pseudo-labeled crops per step. The paper: 8."""
    learning_rate_schedule: Literal["restart", "stretch"]
    """`restart`: every round anneals from the base rate. `stretch`: as the release, one curve over all rounds so far."""
    ema_decay: Annotated[float, Field(ge=0.0, lt=1.0)]
    """Factor of an exponential moving average of the student's weights and statistics, which is then the result of the round; it
    remembers some 1 / (1 - decay) steps, at the start fewer: min(decay, 1 - 1/(step + 1)). 0 = the last weights, as the paper."""


class AugmentationParams(Section):
    """Random crops (Sec. 4.1); rounds widen the scale range by their beta (Sec. 3.3)."""

    long_side: Side | None
    """Longer image side in pixels to which photos and labels are brought, antialiased, before a scale is drawn, so that crop and
    scales mean the same for photos of any size; null = the image's own size, as the paper trains. Where it is set,
    inference.long_side should be about the same."""
    crop_height: Count
    """Pixels."""
    crop_width: Count
    """Pixels."""
    scale_min: Annotated[float, Field(gt=0.0)]
    """Lower end of the random scale in round 0."""
    scale_max: Annotated[float, Field(gt=0.0)]
    """Upper end of the random scale in round 0."""
    rotation: Annotated[float, Field(ge=0.0, le=180.0)]
    """Largest rotation in degrees, either way. The release: 10."""
    rotation_probability: Probability
    """The release: 0.5."""
    blur_probability: Probability
    """Gaussian blur with a 5x5 kernel. The release: 0.5."""
    flip_probability: Probability
    """Horizontal flip. The release: 0.5."""
    photometric_probability: Probability
    """Photometric distortion (Table 11); off in the paper's main results."""

    @model_validator(mode="after")
    def _ordered_scales(self) -> Self:
        if self.scale_min > self.scale_max:
            raise ValueError(f"scale_min {self.scale_min} is above scale_max {self.scale_max}")
        return self


class StrongViewParams(Section):
    """What changes a student's crops further, behind `augmentation`; with all probabilities 0 nothing, as the paper.

    Reference: Yang et al., ST++, CVPR 2022, and UniMatch, CVPR 2023, whose strengths are the usual ones; Yun et al., CutMix, ICCV
    2019; Olsson et al., ClassMix, WACV 2021.
    """

    crops: Literal["pseudo_labeled", "labeled", "both"]
    """Which crops: `labeled` beside method=none is the control of equal augmentation."""
    color_probability: Probability
    """Of color jitter: all four factors below are drawn. Usual: 0.8."""
    brightness: Annotated[float, Field(ge=0.0, le=1.0)]
    """Largest change of the factor, either way. Usual: 0.5."""
    contrast: Annotated[float, Field(ge=0.0, le=1.0)]
    """Likewise."""
    saturation: Annotated[float, Field(ge=0.0, le=1.0)]
    """Likewise."""
    hue: Annotated[float, Field(ge=0.0, le=0.5)]
    """Largest shift either way, in turns of the color circle. Usual: 0.25."""
    grayscale_probability: Probability
    """Usual: 0.2."""
    blur_probability: Probability
    """Of a Gaussian blur. Usual: 0.5."""
    blur_sigma_min: Annotated[float, Field(gt=0.0, le=16.0)]
    """Pixels of the crop. Usual: 0.1."""
    blur_sigma_max: Annotated[float, Field(gt=0.0, le=16.0)]
    """Likewise. Usual: 2 for crops of 321 pixels."""
    mix: Literal["cutmix", "classmix"]
    """`cutmix` pastes a rectangle of another crop, `classmix` half of the classes of another crop, image and labels alike."""
    mix_probability: Probability
    """Usual: 0.5."""
    mix_from: Literal["same", "labeled"]
    """Whether the other crop is of the same set or a labeled one."""
    cutmix_area_min: Annotated[float, Field(gt=0.0, le=1.0)]
    """Smallest rectangle over the crop. Usual: 0.02."""
    cutmix_area_max: Annotated[float, Field(gt=0.0, le=1.0)]
    """Largest rectangle over the crop. Usual: 0.4."""

    @property
    def changes_colors(self) -> bool:
        """Whether a crop can get other colors."""
        return self.color_probability > 0 or self.grayscale_probability > 0

    @property
    def changes_anything(self) -> bool:
        """Whether a crop can become another one at all."""
        return self.changes_colors or self.blur_probability > 0 or self.mix_probability > 0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for low, high in (("blur_sigma_min", "blur_sigma_max"), ("cutmix_area_min", "cutmix_area_max")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} {getattr(self, low)} is above {high} {getattr(self, high)}")
        return self


class InferenceProtocol(Section):
    """How a network sees an image at test time. Checkpoints hold it: the network is measured, and used, by what it says."""

    long_side: Side | None
    """Longer image side that the network sees, in pixels, 65,536 at most; null = the image's own size."""
    scales: Annotated[tuple[Annotated[float, Field(gt=0.0, le=16.0)], ...], _AsTuple, Field(min_length=1, max_length=32)]
    """Image scales whose probabilities are averaged, 32 of them at most, none above 16. The paper: single scale, [1.0]."""
    flip: bool
    """Average with the horizontally flipped image; the release always does, the paper does not mention it."""
    sliding_window: bool
    """Predict in overlapping windows instead of the whole image at once."""
    window_height: Side
    """Pixels; read only with sliding_window."""
    window_width: Side
    """Pixels; read only with sliding_window."""
    stride_ratio: Annotated[float, Field(ge=0.01, le=1.0)]
    """Step from window to window over the window's side; at 0.01 a pixel lies in 10,000 of them. The release: 2/3."""


class InferenceParams(InferenceProtocol):
    """The protocol by which a network predicts an image, for pseudo labels and for evaluation alike, and how it computes."""

    batch_size: Count
    """Windows per forward pass; bounds memory, does not change the result beyond rounding."""
    precision: Literal["float32", "bfloat16", "float16"]
    """In which the network computes: the shorter types are faster on a GPU and rounder. Probabilities are float32 in all."""

    @property
    def protocol(self) -> InferenceProtocol:
        """The protocol alone."""
        return InferenceProtocol(**self.model_dump(include=set(InferenceProtocol.model_fields)))


Averaged = Literal["probabilities", "logits"]
"""What is averaged over the views of an image."""


Kept = Literal["all", "largest"]
"""Which probabilities of a pixel a store keeps."""


class StoreParams(Section):
    """The Zarr store of softmax maps."""

    average: Averaged
    """What is averaged over windows, flip and scales, and interpolated to the image's own size: `probabilities`, as every
    evaluation does, or `logits`, as the release makes pseudo labels. The same for one view of an image at its own size."""
    dtype: Literal["float16", "float32"]
    """Of probabilities and confidences: float32 takes twice the room and tells apart what float16 rounds to 1."""
    floor: Annotated[float, Field(ge=0.0, lt=0.5)]
    """Probabilities below it are stored as 0: 1e-3 makes the store several times smaller, and no confidence changes.
    Below 1 / number of classes; 0 where a calibrator needs the logarithms of small probabilities, as those that scale do."""
    keep: Kept
    """`all` probabilities of a pixel, or the `largest` alone, 3 bytes a pixel in float16 whatever the number of classes. Nothing
    but calibrators reads the others: without one, selections, labels and students have the same bytes."""
    shard_mib: Annotated[float, Field(gt=0.0)]
    """Most raw data of one shard file, in MiB; a shard holds whole images, one at least."""


class CalibrationFitParams(Section):
    """What a calibrator is fitted on."""

    images: Literal["holdout", "val"]
    """`holdout`: labeled images that nothing trains on (data.holdout_fraction); `val`: the validation images, as the paper does,
    so that what is then reported on them has seen their labels."""
    max_pixels: Count
    """Pixels at most, drawn at random among all; bounds memory: each takes 2 bytes per class, 4 where `softmax_store.dtype` is
    float32."""
    bins: Count
    """Bins of equal width of `histogram_binning`."""


class DarsParams(Section):
    """Random sampling (Algorithm 1, lines 5-6)."""

    thin: Literal["all", "ties"]
    """`all` (the paper): draw among all qualifying pixels; `ties`: keep those above the threshold, draw among its ties."""


class EvaluationParams(Section):
    """What is counted as a tail class, and what is shown."""

    tail_share: Annotated[float, Field(gt=0.0, lt=1.0)]
    """A class below this share of the labeled pixels is a tail class."""
    tail_classes: Annotated[tuple[str, ...] | None, _AsTuple]
    """Names of the tail classes instead of the share; null = by share."""
    examples: Annotated[int, Field(ge=0)]
    """Validation images, the first by id, whose predictions are kept as pictures."""
    curve_images: Count | None
    """Validation images on which snapshots are measured, evenly spread over their list; null = all."""


LabelingRatio = Ratio | Literal["auto"]
"""A number, or `auto`: chosen in each round by the rule of `auto_alpha`."""


class AutoAlphaParams(Section):
    """How `alpha: auto` is chosen: the largest ratio that the rule allows."""

    rule: Literal["no_shortfall", "precision"]
    """`no_shortfall`: every class gets its target, for `da` and `dars`; the class that the teacher predicts least for its share
    decides. `precision`: labels are expected to be right often enough, by the mean of calibrated confidences."""
    precision: Ratio
    """Least share of right labels; read only with the rule `precision`, in whole percents of alpha."""


class RoundParams(Section):
    """One round of self-training (Sec. 3.3)."""

    prev: Annotated[int, Field(ge=0)]
    """Round whose student is this round's teacher."""
    alpha: LabelingRatio | None
    """Labeling ratio of this round; null = the top-level alpha."""
    beta_min: Annotated[float, Field(ge=0.0, lt=1.0)]
    """Decrease of the lower end of the scale range."""
    beta_max: Annotated[float, Field(ge=0.0)]
    """Increase of the upper end of the scale range."""
    strength: Probability
    """Factor on the probabilities of the section `strong_views` in this round."""
    model: Mapping[str, Any] | None
    """A network of its own for the student of this round, which then starts from its own weights and not from its teacher's: what
    differs from the section `model`; null = the teacher's network goes on learning."""


class RuntimeParams(Section):
    """The machine, not the experiment: no stage depends on this section."""

    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$")]
    """`auto` takes the first GPU, else the CPU."""
    threads: Count
    """Threads of one torch operation on the CPU; their number can change the last bits of a training."""
    loader_workers: Annotated[int, Field(ge=0)]
    """Processes that read and augment training images; never changes a result."""
    workers: Count
    """Threads that check and read images, quantize softmax maps, draw labels and write PNGs; never changes a result."""
    processes: Count
    """Processes of this machine that pretrain, infer, sample_labels and train_student run in: one per GPU. The pseudo labels of
    given teachers are the same; trainings see the same batches and losses, up to rounding. Batch sizes are multiples of it."""
    softmax_url: Annotated[str, Field(pattern=r"^[a-z0-9+.-]+://.+$")] | None
    """Where softmax maps are written instead of data/rounds, of any file system that fsspec knows: s3://BUCKET/FOLDER. Each
    store gets a folder of its own below it, and nothing deletes one."""
    checkpoint_every: Count
    """Steps of a training between resume points, which lie at the ends of the curve's rows: where one falls inside a row, it is
    written at that row's end. Never changes a result."""
    cache_gib: Annotated[float, Field(ge=0.0)]
    """Memory of all processes together for decoded training images, in GiB: where all of them fit, each is decoded once; never
    changes a result."""
    compile: bool
    """Compile the network before training and inference (torch.compile; needs a C++ compiler). It pays on a GPU and for long
    runs; the last bits can change, as with another device."""


class Params(Section):
    """All of `params.yaml`."""

    seed: Annotated[int, Field(ge=0)]
    """Seed of the split, the trainings and the sampling."""
    method: Literal["none", "st", "cbst", "da", "dars"]
    """Labeling method."""
    alpha: LabelingRatio
    """Labeling ratio of the rounds that set none of their own: pseudo-labeled pixels over all unlabeled pixels."""
    auto_alpha: AutoAlphaParams
    prior_shrinkage: Annotated[float, Field(ge=0.0, le=1.0)]
    """Part of the teacher's predicted shares in the class priors that pseudo labels are aligned with: with few labeled images, a
    rare class's share is known to a factor only (prior_intervals.json). 0 = the paper; 1 = as the teacher predicts, like CBST."""
    prior_noise: Annotated[float, Field(ge=0.0, le=1.0)]
    """To measure what wrong priors cost: each share times 1 + u, u uniform in [-prior_noise, prior_noise], drawn by the seed."""
    unpredicted_classes: Literal["warn", "refuse"]
    """Where the teacher predicts a class nowhere that pseudo labels should have: go on and say so, or stop."""
    equal_pixels: bool
    """Thin `st`, `cbst` and `da` at random to their targets too, so that methods are compared at one realized ratio."""
    st_confidence: Ratio | None
    """A fixed threshold for `st` instead of one solved from alpha."""
    dars: DarsParams
    calibration: Literal["none", "temperature", "vector", "matrix", "histogram_binning"]
    """Calibrator of the teacher's probabilities, in front of any method."""
    calibration_fit: CalibrationFitParams
    rounds: Mapping[RoundKey, RoundParams]
    data: DataParams
    model: ModelParams
    augmentation: AugmentationParams
    strong_views: StrongViewParams
    training: TrainingParams
    pretrain: PretrainParams
    student: StudentParams
    inference: InferenceParams
    softmax_store: StoreParams
    evaluation: EvaluationParams
    runtime: RuntimeParams

    @model_validator(mode="after")
    def _calibrators_have_pixels(self) -> Self:
        if self.calibration != "none" and self.calibration_fit.images == "holdout" and self.data.holdout_fraction == 0:
            raise ValueError(
                f"calibration {self.calibration} - expected labeled images to fit it on - found calibration_fit.images: holdout"
                " and data.holdout_fraction: 0 - set data.holdout_fraction, or calibration_fit.images=val as the paper does"
            )
        return self

    @model_validator(mode="after")
    def _scaling_has_tails(self) -> Self:
        # A tail of 1e-6 stored as 0 is no tail of 1e-6 divided by a temperature: the fit is another, confidences rise.
        if self.calibration in {"temperature", "vector", "matrix"} and self.softmax_store.floor > 0:
            raise ValueError(
                f"calibration {self.calibration} - expected a store of all probabilities, whose logarithms it scales - found"
                f" softmax_store.floor: {self.softmax_store.floor} - set softmax_store.floor=0.0 or calibration=histogram_binning"
            )
        return self

    @model_validator(mode="after")
    def _calibrators_have_maps(self) -> Self:
        if self.calibration != "none" and self.softmax_store.keep != "all":
            raise ValueError(
                f"calibration {self.calibration} - expected a store of all probabilities, which it calibrates together - found"
                f" softmax_store.keep: {self.softmax_store.keep} - set softmax_store.keep=all or calibration=none"
            )
        return self

    @model_validator(mode="after")
    def _ratios_can_be_chosen(self) -> Self:
        if "auto" not in {self.alpha, *(section.alpha for section in self.rounds.values())} or self.method == "none":
            return self
        if self.auto_alpha.rule == "no_shortfall" and self.method not in {"da", "dars"}:
            raise ValueError(
                f"alpha auto by no_shortfall - expected a method with targets by class, da or dars - found {self.method}"
                " - set alpha to a number, or auto_alpha.rule=precision"
            )
        if self.auto_alpha.rule == "precision" and self.calibration == "none":
            raise ValueError(
                "alpha auto by precision - expected calibrated confidences, whose mean is the precision - found calibration: none"
                " - set calibration and data.holdout_fraction, or auto_alpha.rule=no_shortfall"
            )
        return self

    @model_validator(mode="after")
    def _batches_divide(self) -> Self:
        for name, size in {
            "pretrain.batch_size": self.pretrain.batch_size,
            "student.labeled_batch_size": self.student.labeled_batch_size,
            "student.unlabeled_batch_size": self.student.unlabeled_batch_size,
        }.items():
            if size % self.training.accumulate:
                raise ValueError(
                    f"training.accumulate - expected a number of parts that divides {name}={size} - found"
                    f" {self.training.accumulate} - set one of the two so that it does"
                )
        return self

    @model_validator(mode="after")
    def _own_models_are_models(self) -> Self:
        for key in self.rounds:
            try:
                self.own_model(key)
            except ValidationError as error:
                first = error.errors()[0]
                name = ".".join(["rounds", key, "model", *map(str, first["loc"])])
                raise ValueError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from error
        return self

    @model_validator(mode="after")
    def _rounds_have_teachers(self) -> Self:
        for key, section in self.rounds.items():
            if section.prev >= int(key) or (section.prev != 0 and str(section.prev) not in self.rounds):
                raise ValueError(f"rounds.{key}.prev is {section.prev}, expected 0 or an earlier round of this file")
        return self

    def round(self, key: str) -> RoundParams:
        """Return the section of round `key`.

        Raises:
            ValueError: `params.yaml` has no such round.
        """
        if key not in self.rounds:
            raise ValueError(f"params.yaml - rounds - expected one of {', '.join(self.rounds)} - found {key} - add the round")
        return self.rounds[key]

    def own_model(self, key: str) -> ModelParams | None:
        """Return the section of the network that the student of round `key` begins with; None: it goes on with its teacher's."""
        changes = self.round(key).model
        return None if changes is None else ModelParams.model_validate({**self.model.model_dump(), **changes})

    def depth(self, key: str) -> int:
        """Return how many rounds have trained the network of round `key` before it, pretraining included."""
        section = self.round(key)
        if section.model is not None:
            return 0
        return 1 if section.prev == 0 else 1 + self.depth(str(section.prev))

    def labeling_ratio(self, key: str) -> float | Literal["auto"]:
        """Return the labeling ratio (the paper's alpha) of round `key`, in (0, 1], or that it is to be chosen."""
        own = self.round(key).alpha
        return self.alpha if own is None else own


def read_params(path: Path) -> Params:
    """Read and check `params.yaml`.

    Raises:
        ValueError: the file is missing, is no YAML mapping, or a value is wrong; names the key path.
    """
    return read_section(path, Params)


def find_params(folder: Path) -> Params | None:
    """Read and check `params.yaml` of a folder; None where there is none, or one of another project.

    Raises:
        ValueError: see `read_params`.
    """
    path = folder / "params.yaml"
    if not path.exists():
        return None
    # Other projects have parameters too, some by the same names; an empty file is a torn one of ours.
    tree = read_yaml(path)
    if isinstance(tree, Mapping) and 2 * len(tree.keys() & Params.model_fields.keys()) < len(Params.model_fields):
        return None
    return read_params(path)


def default_params() -> Params:
    """Return the parameters that the project comes with, for whoever works in no workspace; all cores of the machine are used."""
    params, cores = read_params(Path(__file__).parents[1] / "params.yaml"), os.cpu_count() or 1
    return params.model_copy(update={"runtime": params.runtime.model_copy(update={"threads": cores, "workers": cores})})
