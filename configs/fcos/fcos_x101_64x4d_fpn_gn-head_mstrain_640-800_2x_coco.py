_base_ = './fcos_r50_caffe_fpn_gn-head_1x_coco.py'
model = dict(
    backbone=dict(
        type='ResNeXt',
        depth=101,
        groups=64,
        base_width=4,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnext101_64x4d')))
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[2] = dict(type='Resize', img_scale=[(1333, 640), (1333, 800)], multiscale_mode='value', keep_ratio=True)
data = dict(
    train=dict(pipeline=train_pipeline),
    val=dict(pipeline={{ _base_.test_pipeline }}),
    test=dict(pipeline={{ _base_.test_pipeline }}))
lr_config = dict(step=[16, 22])
runner = dict(max_epochs=24)
