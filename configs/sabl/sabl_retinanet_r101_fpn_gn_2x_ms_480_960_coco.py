_base_ = './sabl_retinanet_r101_fpn_gn_1x_coco.py'
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[2] = dict(type='Resize', img_scale=[(1333, 480), (1333, 960)], multiscale_mode='range', keep_ratio=True)
data = dict(train=dict(pipeline=train_pipeline))
lr_config = dict(step=[16, 22])
runner = dict(max_epochs=24)
