_base_ = [
    '../_base_/models/retinanet_r50_fpn.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/pipelines/crop640.py',
    '../_base_/schedules/crop640_50e.py',
    '../_base_/default_runtime.py',
]
cudnn_benchmark = True
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    backbone=dict(norm_eval=False),
    neck=dict(relu_before_extra_convs=True, no_norm_on_lateral=True, norm_cfg=norm_cfg),
    bbox_head=dict(type='RetinaSepBNHead', num_ins=5, norm_cfg=norm_cfg),
    train_cfg=dict(assigner=dict(neg_iou_thr=0.5)))
data = dict(
    samples_per_gpu=8,
    workers_per_gpu=4,
    train=dict(pipeline={{ _base_.crop640.box_train }}),
    val=dict(pipeline={{ _base_.crop640.test_64 }}),
    test=dict(pipeline={{ _base_.crop640.test_64 }}))
auto_scale_lr = dict(base_batch_size=64)  # 8 GPUs x 8 samples
