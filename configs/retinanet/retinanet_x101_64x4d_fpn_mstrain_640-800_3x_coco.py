_base_ = ['./retinanet_r50_fpn_mstrain_640-800_3x_coco.py', '../_base_/models/backbones.py']
model = dict(backbone={{ _base_.backbones.resnext101_64x4d }})
