_base_ = './coco_detection.py'
dataset_type = 'CocoPanopticDataset'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanopticAnnotations', with_bbox=True, with_mask=True, with_seg=True),
    dict(type='Resize', img_scale=(1333, 800), keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='Normalize', **_base_.img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='SegRescale', scale_factor=1 / 4),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks', 'gt_semantic_seg']),
]
train_files = dict(
    type=dataset_type,
    ann_file=_base_.data_root + 'annotations/panoptic_train2017.json',
    seg_prefix=_base_.data_root + 'annotations/panoptic_train2017/')
val_files = dict(
    type=dataset_type,
    ann_file=_base_.data_root + 'annotations/panoptic_val2017.json',
    ins_ann_file=_base_.data_root + 'annotations/instances_val2017.json',
    seg_prefix=_base_.data_root + 'annotations/panoptic_val2017/')
data = dict(train=dict(pipeline=train_pipeline, **train_files), val=val_files, test=val_files)
evaluation = dict(metric=['PQ'])
