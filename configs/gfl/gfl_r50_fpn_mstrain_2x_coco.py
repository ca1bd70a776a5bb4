_base_ = './gfl_r50_fpn_1x_coco.py'
lr_config = dict(step=[16, 22])
runner = dict(max_epochs=24)
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[2] = dict(type='Resize', img_scale=[(1333, 480), (1333, 800)], multiscale_mode='range', keep_ratio=True)
data = dict(train=dict(pipeline=train_pipeline))
