# Cell nuclei with boxes alone, from scratch, in ten seconds on one CPU core: small enough to search its settings.
_base_ = [
    '../_base_/datasets/nuclei_repeated.py', '../_base_/schedules/adamw_cosine.py', '../_base_/default_runtime.py'
]
channels = 32
strides = [8, 16, 32]
model = dict(
    type='RetinaNet',
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=16,
        stem_channels=16,
        num_stages=4,
        out_indices=(1, 2, 3),
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch'),
    neck=dict(type='FPN', in_channels=[32, 64, 128], out_channels=channels, num_outs=3),
    bbox_head=dict(
        type='RetinaHead',
        num_classes=1,
        in_channels=channels,
        stacked_convs=1,
        feat_channels=channels,
        anchor_generator=dict(
            type='AnchorGenerator', octave_base_scale=4, scales_per_octave=1, ratios=[0.5, 1.0, 2.0], strides=strides),
        reg_decoded_bbox=False,
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder', target_means=[0.0, 0.0, 0.0, 0.0], target_stds=[1.0, 1.0, 1.0, 1.0]),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type='L1Loss', loss_weight=1.0)),
    train_cfg=dict(
        assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0, ignore_iof_thr=-1),
        allowed_border=-1,
        pos_weight=-1),
    test_cfg=dict(
        nms_pre=300, min_bbox_size=0, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100))
img_scale = (128, 128)
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[1].pop('with_mask')
train_pipeline[2].update(img_scale=img_scale)
train_pipeline[-1]['keys'].remove('gt_masks')
test_pipeline = {{ _base_.test_pipeline }}
test_pipeline[1].update(img_scale=img_scale)
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=0,
    train=dict(times=5, dataset=dict(pipeline=train_pipeline)),
    val=dict(pipeline=test_pipeline),
    test=dict(pipeline=test_pipeline))
lr_config = dict(warmup_iters=10)
runner = dict(max_epochs=9)
evaluation = dict(interval=1, metric='bbox')
checkpoint_config = dict(interval=9, max_keep_ckpts=1)
log_config = dict(interval=10)
