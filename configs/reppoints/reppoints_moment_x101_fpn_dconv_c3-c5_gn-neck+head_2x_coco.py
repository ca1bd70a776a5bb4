_base_ = ['./reppoints_moment_r50_fpn_gn-neck+head_2x_coco.py', '../_base_/models/backbones.py']
model = dict(
    backbone=dict(
        dcn=dict(type='DCN', deform_groups=1, fallback_on_stride=False),
        stage_with_dcn=(False, True, True, True),
        **_base_.backbones.resnext101_32x4d))
