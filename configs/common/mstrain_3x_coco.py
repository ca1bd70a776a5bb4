# Multi-scale training for 36 epochs, counted as 12 epochs of a data set that repeats itself three times.
_base_ = [
    '../_base_/datasets/coco_detection.py', '../_base_/schedules/schedule_1x.py', '../_base_/default_runtime.py'
]
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[2] = dict(
    type='Resize', img_scale=[(1333, 640), (1333, 800)], multiscale_mode='range', keep_ratio=True)
data = dict(
    train=dict(
        _delete_=True,
        type='RepeatDataset',
        times=3,
        dataset=dict(
            type='CocoDataset',
            ann_file=_base_.data_root + 'annotations/instances_train2017.json',
            img_prefix=_base_.data_root + 'train2017/',
            pipeline=train_pipeline)))
lr_config = dict(step=[9, 11])
