_base_ = ['./fsaf_r50_fpn_1x_coco.py', '../_base_/models/backbones.py']
model = dict(backbone={{ _base_.backbones.resnext101_64x4d }})
