_base_ = ['./retinanet_r50_fpn_2x_coco.py', '../_base_/models/backbones.py']
model = dict(backbone={{ _base_.backbones.resnext101_32x4d }})
