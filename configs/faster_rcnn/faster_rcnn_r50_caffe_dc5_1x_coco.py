_base_ = [
    '../_base_/models/faster_rcnn_r50_caffe_dc5.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
    '../_base_/pipelines/caffe.py',
]
data = dict(
    train=dict(pipeline={{ _base_.caffe.box_train }}),
    val=dict(pipeline={{ _base_.caffe.test }}),
    test=dict(pipeline={{ _base_.caffe.test }}))
