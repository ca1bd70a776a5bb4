_base_ = './vfnet_r50_fpn_1x_coco.py'
model = dict(
    backbone=dict(depth=101, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101')))
lr_config = dict(step=[16, 22])
runner = dict(max_epochs=24)
