_base_ = [
    './mask_rcnn_r50_fpn_mstrain-poly_3x_coco.py',
    '../_base_/pipelines/caffe.py',
    '../_base_/models/backbones.py',
]
model = dict(backbone={{ _base_.backbones.resnet101_caffe }})
data = dict(
    train=dict(dataset=dict(pipeline={{ _base_.caffe.polygon_train_between }})),
    val=dict(pipeline={{ _base_.caffe.test }}),
    test=dict(pipeline={{ _base_.caffe.test }}))
