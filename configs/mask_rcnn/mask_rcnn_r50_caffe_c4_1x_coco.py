_base_ = [
    '../_base_/models/mask_rcnn_r50_caffe_c4.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
    '../_base_/pipelines/caffe.py',
]
data = dict(
    train=dict(pipeline={{ _base_.caffe.mask_train }}),
    val=dict(pipeline={{ _base_.caffe.test }}),
    test=dict(pipeline={{ _base_.caffe.test }}))
optimizer = dict(lr=0.01)
