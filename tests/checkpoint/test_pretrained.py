import pytest
import torch

from raydet.backbones import MobileNetV2, ResNet
from raydet.checkpoint import find_weights, save_checkpoint
from raydet.layers import BaseModule


class Detector(BaseModule):
    def __init__(self, backbone, init_cfg=None):
        super().__init__(init_cfg)
        self.backbone = backbone


def net(init_cfg=None):
    return ResNet(18, base_channels=2, init_cfg=init_cfg)


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_backbone_starts_from_a_file_and_children_do_not_overwrite_it(tmp_path):
    source = net()
    save_checkpoint(source, tmp_path / "a.pth")
    model = Detector(net(dict(type="Pretrained", checkpoint=str(tmp_path / "a.pth"))))
    model.init_weights()
    assert equal(model.backbone, source)
    assert set(model.initialized_by.values()) == {f"Pretrained: {tmp_path / 'a.pth'}"}


@pytest.mark.parametrize("prefix", ["backbone", "backbone."])
def test_prefix_takes_a_part_of_a_detector(tmp_path, prefix):
    source = Detector(net())
    save_checkpoint(source, tmp_path / "a.pth")
    model = net(dict(type="Pretrained", checkpoint=str(tmp_path / "a.pth"), prefix=prefix))
    model.init_weights()
    assert equal(model, source.backbone)


def test_wrong_prefix_says_which_there_are(tmp_path):
    save_checkpoint(Detector(net()), tmp_path / "a.pth")
    model = net(dict(type="Pretrained", checkpoint=str(tmp_path / "a.pth"), prefix="teacher"))
    with pytest.raises(ValueError, match=r"teacher.*\['backbone'\]"):
        model.init_weights()


def test_forgotten_prefix_is_an_error_that_shows_the_keys(tmp_path):
    save_checkpoint(Detector(net()), tmp_path / "a.pth")
    with pytest.raises(RuntimeError, match=r"backbone\.conv1\.weight"):
        net(dict(type="Pretrained", checkpoint=str(tmp_path / "a.pth"))).init_weights()


def test_deprecated_argument_works_too(tmp_path):
    source = net()
    save_checkpoint(source, tmp_path / "a.pth")
    with pytest.warns(UserWarning, match="deprecated"):
        model = ResNet(18, base_channels=2, pretrained=str(tmp_path / "a.pth"))
    model.init_weights()
    assert equal(model, source)


def test_pretrained_whole_detector_wins_over_its_parts(tmp_path):
    source = Detector(net())
    save_checkpoint(source, tmp_path / "a.pth")
    model = Detector(net(), init_cfg=dict(type="Pretrained", checkpoint=str(tmp_path / "a.pth")))
    model.init_weights()
    assert equal(model, source)


@pytest.mark.skipif(find_weights("mobilenet_v2-b0353104.pth") is None, reason="ImageNet weights are not cached")
def test_imagenet_weights_give_the_maps_of_torchvision():
    import torchvision

    path = find_weights("mobilenet_v2-b0353104.pth")
    model = MobileNetV2(init_cfg=dict(type="Pretrained", checkpoint="torchvision://mobilenet_v2"), out_indices=(7,))
    model.init_weights()
    theirs = torchvision.models.mobilenet_v2()
    theirs.load_state_dict(torch.load(path, weights_only=True))
    image = torch.linspace(-2, 2, 3 * 96 * 96).view(1, 3, 96, 96)
    with torch.no_grad():
        # ours folds normalisations, which rounds otherwise; values reach 6
        torch.testing.assert_close(model.eval()(image)[0], theirs.eval().features(image), rtol=1e-4, atol=1e-4)
