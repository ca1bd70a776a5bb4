_base_ = [
    '../_base_/models/ssd300.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/pipelines/expand_crop.py',
    '../_base_/schedules/schedule_2x.py',
    '../_base_/default_runtime.py',
]
data = dict(
    samples_per_gpu=8,
    workers_per_gpu=3,
    train=dict(
        _delete_=True,
        type='RepeatDataset',
        times=5,
        dataset=dict(
            type='CocoDataset',
            ann_file='data/coco/annotations/instances_train2017.json',
            img_prefix='data/coco/train2017/',
            pipeline={{ _base_.expand_crop.ssd_300.train }})),
    val=dict(pipeline={{ _base_.expand_crop.ssd_300.test }}),
    test=dict(pipeline={{ _base_.expand_crop.ssd_300.test }}))

optimizer = dict(lr=2e-3, weight_decay=5e-4)
optimizer_config = dict(_delete_=True)
custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(type='CheckInvalidLossHook', interval=50, priority='VERY_LOW'),
]
auto_scale_lr = dict(base_batch_size=64)  # 8 GPUs x 8 samples
