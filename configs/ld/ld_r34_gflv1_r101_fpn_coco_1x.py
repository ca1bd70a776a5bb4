_base_ = './ld_r18_gflv1_r101_fpn_coco_1x.py'
model = dict(
    backbone=dict(depth=34, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet34')))
