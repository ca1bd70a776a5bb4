_base_ = './lad_r50_paa_r101_fpn_coco_1x.py'
# The teacher: PAA with ResNet-50, trained for 12 epochs.
model = dict(
    backbone=dict(depth=101, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101')),
    teacher_ckpt='http://download.openmmlab.com/mmdetection/v2.0/paa/paa_r50_fpn_1x_coco/paa_r50_fpn_1x_coco_20200821-936edec3.pth',
    teacher_backbone=dict(depth=50))
