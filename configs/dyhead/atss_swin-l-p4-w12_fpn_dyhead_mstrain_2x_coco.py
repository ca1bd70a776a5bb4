# As the authors have it: large images that Pillow resizes, padding, anchors, predictors and start of the offsets.
_base_ = './atss_r50_fpn_dyhead_1x_coco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        pretrain_img_size=384,
        embed_dims=192,
        depths=[2, 2, 18, 2],
        num_heads=[6, 12, 24, 48],
        window_size=12,
        mlp_ratio=4,
        qkv_bias=True,
        qk_scale=None,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        drop_path_rate=0.2,
        patch_norm=True,
        out_indices=(1, 2, 3),
        with_cp=False,
        convert_weights=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
            'swin_large_patch4_window12_384_22k.pth')),
    neck=[
        dict(
            type='FPN',
            in_channels=[384, 768, 1536],
            out_channels=256,
            start_level=0,
            add_extra_convs='on_output',
            num_outs=5),
        dict(type='DyHead', in_channels=256, out_channels=256, num_blocks=6, zero_init_offset=False),
    ],
    bbox_head=dict(pred_kernel_size=1, anchor_generator=dict(center_offset=0.5)))

train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[2] = dict(
    type='Resize',
    img_scale=[(2000, 480), (2000, 1200)],
    multiscale_mode='range',
    keep_ratio=True,
    backend='pillow')
train_pipeline[5].update(size_divisor=128)
test_pipeline = {{ _base_.test_pipeline }}
test_pipeline[1].update(img_scale=(2000, 1200))
test_pipeline[1]['transforms'][0].update(backend='pillow')
test_pipeline[1]['transforms'][3].update(size_divisor=128)
data = dict(
    train=dict(
        _delete_=True,
        type='RepeatDataset',  # an epoch is two rounds
        times=2,
        dataset=dict(
            type='CocoDataset',
            ann_file='data/coco/annotations/instances_train2017.json',
            img_prefix='data/coco/train2017/',
            pipeline=train_pipeline)),
    val=dict(pipeline=test_pipeline),
    test=dict(pipeline=test_pipeline))

optimizer = dict(
    _delete_=True,
    type='AdamW',
    lr=0.00005,
    betas=(0.9, 0.999),
    weight_decay=0.05,
    paramwise_cfg=dict(
        custom_keys={
            'absolute_pos_embed': dict(decay_mult=0.0),
            'relative_position_bias_table': dict(decay_mult=0.0),
            'norm': dict(decay_mult=0.0),
        }))
