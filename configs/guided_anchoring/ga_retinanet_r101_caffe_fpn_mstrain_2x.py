_base_ = './ga_retinanet_r101_caffe_fpn_1x_coco.py'
train_pipeline = {{ _base_.caffe.box_train }}
train_pipeline[2] = dict(type='Resize', img_scale=[(1333, 480), (1333, 960)], multiscale_mode='range', keep_ratio=True)
data = dict(train=dict(pipeline=train_pipeline))
lr_config = dict(warmup_ratio=1.0 / 3, step=[16, 22])
runner = dict(max_epochs=24)
