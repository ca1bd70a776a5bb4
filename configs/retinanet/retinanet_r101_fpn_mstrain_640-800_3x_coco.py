_base_ = './retinanet_r50_fpn_mstrain_640-800_3x_coco.py'
model = dict(
    backbone=dict(depth=101, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101')))
