_base_ = [
    '../_base_/models/solo_r50_fpn.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='SOLO',
    mask_head=dict(
        type='SOLOHead',
        stacked_convs=7,
        feat_channels=256,
        norm_cfg=dict(type='GN', num_groups=32, requires_grad=True)))

optimizer = dict(lr=0.01)
evaluation = dict(metric='segm')
