_base_ = './fovea_align_r50_fpn_gn-head_4x4_2x_coco.py'
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[2] = dict(type='Resize', img_scale=[(1333, 640), (1333, 800)], multiscale_mode='value', keep_ratio=True)
data = dict(train=dict(pipeline=train_pipeline))
