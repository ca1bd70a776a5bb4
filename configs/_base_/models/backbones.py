# Backbones that take the place of a ResNet-50 whose weights come from torchvision.
# A config takes the one it needs: model = dict(backbone={{ _base_.backbones.resnext101_32x4d }})


def resnet_caffe(depth):
    return dict(
        depth=depth,
        norm_cfg=dict(requires_grad=False),
        norm_eval=True,
        style='caffe',
        init_cfg=dict(type='Pretrained', checkpoint=f'open-mmlab://detectron2/resnet{depth}_caffe'))


def resnext101(groups):
    return dict(
        type='ResNeXt',
        depth=101,
        groups=groups,
        base_width=4,
        norm_cfg=dict(requires_grad=True),
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint=f'open-mmlab://resnext101_{groups}x4d'))


backbones = dict(
    resnet50_caffe=resnet_caffe(50),
    resnet101_caffe=resnet_caffe(101),
    resnext101_32x4d=resnext101(32),
    resnext101_64x4d=resnext101(64),
    res2net101=dict(
        type='Res2Net',
        depth=101,
        scales=4,
        base_width=26,
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://res2net101_v1d_26w_4s')))
