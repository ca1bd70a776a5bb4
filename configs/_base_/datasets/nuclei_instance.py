# Cell nuclei in 128 x 128 pixel microscope tiles, with masks; they travel inside the package.
_base_ = './neontrees_detection.py'
data_root = '{{ raydetAssets }}/nuclei/'
classes = ('nucleus',)
img_scale = (256, 256)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', img_scale=img_scale, keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='Normalize', **_base_.img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks']),
]
test_pipeline = {{ _base_.test_pipeline }}
test_pipeline[1].update(img_scale=img_scale)
train_files = dict(classes=classes, ann_file=data_root + 'instances_train.json', img_prefix=data_root + 'images/')
val_files = dict(train_files, ann_file=data_root + 'instances_val.json')
data = dict(
    train=dict(pipeline=train_pipeline, **train_files),
    val=dict(pipeline=test_pipeline, **val_files),
    test=dict(pipeline=test_pipeline, **val_files))
evaluation = dict(metric=['bbox', 'segm'])
