_base_ = [
    '../_base_/models/faster_rcnn_r50_fpn.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/pipelines/crop640.py',
    '../_base_/schedules/crop640_50e.py',
    '../_base_/default_runtime.py',
]
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    backbone=dict(norm_cfg=norm_cfg, norm_eval=False),
    neck=dict(norm_cfg=norm_cfg),
    roi_head=dict(bbox_head=dict(norm_cfg=norm_cfg)))
data = dict(
    samples_per_gpu=8,
    workers_per_gpu=4,
    train=dict(pipeline={{ _base_.crop640.box_train }}),
    val=dict(pipeline={{ _base_.crop640.test_64 }}),
    test=dict(pipeline={{ _base_.crop640.test_64 }}))
evaluation = dict(interval=2)
auto_scale_lr = dict(base_batch_size=64)  # 8 GPUs x 8 samples
