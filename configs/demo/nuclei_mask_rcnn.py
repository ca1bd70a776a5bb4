# Cell nuclei with masks, from scratch, in three minutes on two CPU cores: `raydet demo nuclei`.
_base_ = [
    '../_base_/models/faster_rcnn_r18-small_fpn.py', '../_base_/datasets/nuclei_instance.py',
    '../_base_/default_runtime.py'
]
model = dict(
    type='MaskRCNN',
    roi_head=dict(
        mask_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=2),
            out_channels=_base_.channels,
            featmap_strides=_base_.strides,
            finest_scale=28),
        mask_head=dict(
            type='FCNMaskHead',
            num_convs=3,
            in_channels=_base_.channels,
            conv_out_channels=_base_.channels,
            num_classes=1,
            loss_mask=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0))),
    train_cfg=dict(rcnn=dict(sampler=dict(num=64), mask_size=28)),
    test_cfg=dict(rcnn=dict(mask_thr_binary=0.5)))
# the micrographs are dark and grey
img_norm_cfg = dict(mean=[40.0, 40.0, 40.0], std=[45.0, 45.0, 45.0], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', img_scale=[(224, 224), (288, 288)], multiscale_mode='range', keep_ratio=True),
    dict(type='RandomFlip', flip_ratio=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=_base_.img_scale,
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='Pad', size_divisor=32),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ]),
]
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=1,
    train=dict(
        _delete_=True,
        type='RepeatDataset',
        times=10,
        dataset=dict(type='CocoDataset', pipeline=train_pipeline, **_base_.train_files)),
    val=dict(pipeline=test_pipeline),
    test=dict(pipeline=test_pipeline))
optimizer = dict(type='AdamW', lr=0.001, weight_decay=0.05)
optimizer_config = dict(grad_clip=dict(max_norm=10.0, norm_type=2))
lr_config = dict(
    policy='CosineAnnealing', by_epoch=False, warmup='linear', warmup_iters=20, warmup_ratio=0.05, min_lr=0.0)
runner = dict(type='EpochBasedRunner', max_epochs=10)
evaluation = dict(interval=5, save_best='segm_mAP')
checkpoint_config = dict(interval=5, max_keep_ckpts=2)
log_config = dict(interval=10, hooks=[dict(type='TextLoggerHook')])
