_base_ = ['./rpn_r50_fpn_1x_coco.py', '../_base_/models/backbones.py', '../_base_/pipelines/caffe.py']
model = dict(backbone={{ _base_.backbones.resnet50_caffe }})
data = dict(
    train=dict(pipeline={{ _base_.caffe.rpn_train }}),
    val=dict(pipeline={{ _base_.caffe.test }}),
    test=dict(pipeline={{ _base_.caffe.test }}))
