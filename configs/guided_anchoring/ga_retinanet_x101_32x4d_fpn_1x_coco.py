_base_ = './ga_retinanet_r50_caffe_fpn_1x_coco.py'
model = dict(backbone={{ _base_.backbones.resnext101_32x4d }})
