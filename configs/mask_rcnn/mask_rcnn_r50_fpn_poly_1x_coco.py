_base_ = './mask_rcnn_r50_fpn_1x_coco.py'
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[1].update(poly2mask=False)
data = dict(train=dict(pipeline=train_pipeline))
