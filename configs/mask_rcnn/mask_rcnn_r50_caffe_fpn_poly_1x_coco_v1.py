_base_ = ['./mask_rcnn_r50_fpn_1x_coco.py', '../_base_/models/backbones.py', '../_base_/pipelines/caffe.py']
# Pooling and box losses as in version 1.
model = dict(
    backbone={{ _base_.backbones.resnet50_caffe }},
    rpn_head=dict(loss_bbox=dict(type='SmoothL1Loss', beta=1.0 / 9.0, loss_weight=1.0)),
    roi_head=dict(
        bbox_roi_extractor=dict(
            roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=2, aligned=False)),
        bbox_head=dict(loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.0)),
        mask_roi_extractor=dict(
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=2, aligned=False))))
data = dict(
    train=dict(pipeline={{ _base_.caffe.polygon_train }}),
    val=dict(pipeline={{ _base_.caffe.test }}),
    test=dict(pipeline={{ _base_.caffe.test }}))
