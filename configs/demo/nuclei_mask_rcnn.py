# Cell nuclei with masks, from scratch, in three minutes on two CPU cores: `raydet demo nuclei`.
_base_ = [
    '../_base_/models/faster_rcnn_r18-small_fpn.py', '../_base_/datasets/nuclei_repeated.py',
    '../_base_/schedules/adamw_cosine.py', '../_base_/default_runtime.py'
]
model = dict(
    type='MaskRCNN',
    roi_head=dict(
        mask_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=2),
            out_channels=_base_.channels,
            featmap_strides=_base_.strides,
            finest_scale=28),
        mask_head=dict(
            type='FCNMaskHead',
            num_convs=3,
            in_channels=_base_.channels,
            conv_out_channels=_base_.channels,
            num_classes=1,
            loss_mask=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0))),
    train_cfg=dict(rcnn=dict(sampler=dict(num=64), mask_size=28)),
    test_cfg=dict(rcnn=dict(mask_thr_binary=0.5)))
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[2].update(img_scale=[(224, 224), (288, 288)], multiscale_mode='range')
data = dict(samples_per_gpu=2, workers_per_gpu=1, train=dict(dataset=dict(pipeline=train_pipeline)))
evaluation = dict(interval=5, save_best='segm_mAP')
checkpoint_config = dict(interval=5, max_keep_ckpts=2)
log_config = dict(interval=10)
