_base_ = './yolox_s_8x8_300e_coco.py'
model = dict(
    random_size_range=(10, 20),
    backbone=dict(widen_factor=0.375),
    neck=dict(in_channels=[96, 192, 384], out_channels=96),
    bbox_head=dict(in_channels=96, feat_channels=96))

train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[1].update(scaling_ratio_range=(0.5, 1.5))
train_pipeline.pop(2)  # no MixUp
test_pipeline = {{ _base_.test_pipeline }}
test_pipeline[1].update(img_scale=(416, 416))
data = dict(
    train=dict(pipeline=train_pipeline), val=dict(pipeline=test_pipeline), test=dict(pipeline=test_pipeline))
