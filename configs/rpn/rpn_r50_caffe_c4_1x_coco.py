_base_ = [
    '../_base_/models/rpn_r50_caffe_c4.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
    '../_base_/pipelines/caffe.py',
]
data = dict(
    train=dict(pipeline={{ _base_.caffe.rpn_train }}),
    val=dict(pipeline={{ _base_.caffe.test }}),
    test=dict(pipeline={{ _base_.caffe.test }}))
evaluation = dict(metric='proposal_fast')
