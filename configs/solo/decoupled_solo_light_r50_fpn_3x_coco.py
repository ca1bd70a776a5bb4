_base_ = './decoupled_solo_r50_fpn_3x_coco.py'
model = dict(
    mask_head=dict(
        type='DecoupledSOLOLightHead',
        stacked_convs=4,
        scale_ranges=((1, 64), (32, 128), (64, 256), (128, 512), (256, 2048))))

train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[2].update(
    img_scale=[(852, height) for height in (512, 480, 448, 416, 384, 352)], multiscale_mode='value')
test_pipeline = {{ _base_.test_pipeline }}
test_pipeline[1].update(img_scale=(852, 512))
data = dict(
    train=dict(pipeline=train_pipeline), val=dict(pipeline=test_pipeline), test=dict(pipeline=test_pipeline))
