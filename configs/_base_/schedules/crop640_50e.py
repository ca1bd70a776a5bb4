# 50 epochs of batches of 64 cropped images; parameters that several levels share are stepped once.
optimizer = dict(
    type='SGD',
    lr=0.08,
    momentum=0.9,
    weight_decay=0.0001,
    paramwise_cfg=dict(norm_decay_mult=0, bypass_duplicate=True))
optimizer_config = dict(grad_clip=None)
lr_config = dict(policy='step', warmup='linear', warmup_iters=1000, warmup_ratio=0.1, step=[30, 40])
runner = dict(type='EpochBasedRunner', max_epochs=50)
