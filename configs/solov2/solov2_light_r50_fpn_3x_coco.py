_base_ = './solov2_r50_fpn_1x_coco.py'
model = dict(
    mask_head=dict(
        stacked_convs=2,
        feat_channels=256,
        scale_ranges=((1, 56), (28, 112), (56, 224), (112, 448), (224, 896)),
        mask_feature_head=dict(out_channels=128)))

train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[2].update(
    img_scale=[(768, height) for height in (512, 480, 448, 416, 384, 352)], multiscale_mode='value')
test_pipeline = {{ _base_.test_pipeline }}
test_pipeline[1].update(img_scale=(448, 768))
data = dict(
    train=dict(pipeline=train_pipeline), val=dict(pipeline=test_pipeline), test=dict(pipeline=test_pipeline))

lr_config = dict(warmup_ratio=1.0 / 3, step=[27, 33])
runner = dict(max_epochs=36)
