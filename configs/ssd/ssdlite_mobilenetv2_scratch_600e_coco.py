_base_ = './ssd300_coco.py'
norm_cfg = dict(type='BN', eps=0.001, momentum=0.03)
start = dict(type='TruncNormal', layer='Conv2d', std=0.03)
channels = (96, 1280, 512, 256, 256, 128)
model = dict(
    backbone=dict(_delete_=True, type='MobileNetV2', out_indices=(4, 7), norm_cfg=norm_cfg, init_cfg=start),
    neck=dict(
        in_channels=(96, 1280),
        out_channels=channels,
        level_strides=(2, 2, 2, 2),
        level_paddings=(1, 1, 1, 1),
        l2_norm_scale=None,
        use_depthwise=True,
        norm_cfg=norm_cfg,
        act_cfg=dict(type='ReLU6'),
        init_cfg=start),
    bbox_head=dict(
        in_channels=channels,
        use_depthwise=True,
        norm_cfg=norm_cfg,
        act_cfg=dict(type='ReLU6'),
        init_cfg=dict(type='Normal', layer='Conv2d', std=0.001),
        anchor_generator=dict(
            _delete_=True,
            type='SSDAnchorGenerator',
            scale_major=False,
            strides=[16, 32, 64, 107, 160, 320],
            ratios=[[2, 3], [2, 3], [2, 3], [2, 3], [2, 3], [2, 3]],
            min_sizes=[48, 100, 150, 202, 253, 304],
            max_sizes=[100, 150, 202, 253, 304, 320])))

data = dict(
    samples_per_gpu=24,
    workers_per_gpu=4,
    train=dict(dataset=dict(pipeline={{ _base_.expand_crop.ssd_lite.train }})),
    val=dict(pipeline={{ _base_.expand_crop.ssd_lite.test }}),
    test=dict(pipeline={{ _base_.expand_crop.ssd_lite.test }}))

optimizer = dict(lr=0.015, weight_decay=4.0e-5)
optimizer_config = dict(grad_clip=None)
lr_config = dict(
    _delete_=True, policy='CosineAnnealing', warmup='linear', warmup_iters=500, warmup_ratio=0.001, min_lr=0)
runner = dict(max_epochs=120)  # of five rounds each
evaluation = dict(interval=5)
checkpoint_config = dict(interval=5)
auto_scale_lr = dict(base_batch_size=192)  # 8 GPUs x 24 samples
