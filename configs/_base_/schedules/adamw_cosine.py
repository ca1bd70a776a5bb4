# For small data: the learning rate rises for a few iterations, then falls to zero.
optimizer = dict(type='AdamW', lr=0.001, weight_decay=0.05)
optimizer_config = dict(grad_clip=dict(max_norm=10.0, norm_type=2))
lr_config = dict(
    policy='CosineAnnealing', by_epoch=False, warmup='linear', warmup_iters=20, warmup_ratio=0.05, min_lr=0.0)
runner = dict(type='EpochBasedRunner', max_epochs=10)
