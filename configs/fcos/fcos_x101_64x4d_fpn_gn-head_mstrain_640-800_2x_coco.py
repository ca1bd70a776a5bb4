_base_ = ['./fcos_r50_caffe_fpn_gn-head_1x_coco.py', '../_base_/models/backbones.py']
model = dict(backbone={{ _base_.backbones.resnext101_64x4d }})
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[2] = dict(type='Resize', img_scale=[(1333, 640), (1333, 800)], multiscale_mode='value', keep_ratio=True)
data = dict(
    train=dict(pipeline=train_pipeline),
    val=dict(pipeline={{ _base_.test_pipeline }}),
    test=dict(pipeline={{ _base_.test_pipeline }}))
lr_config = dict(step=[16, 22])
runner = dict(max_epochs=24)
