_base_ = './solov2_r50_fpn_1x_coco.py'
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[2].update(
    img_scale=[(1333, height) for height in (800, 768, 736, 704, 672, 640)], multiscale_mode='value')
data = dict(train=dict(pipeline=train_pipeline))

lr_config = dict(warmup_ratio=1.0 / 3, step=[27, 33])
runner = dict(max_epochs=36)
