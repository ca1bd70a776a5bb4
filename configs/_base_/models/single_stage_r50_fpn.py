# The body of many one-stage detectors: the five levels begin at stride 8.
_base_ = './resnet50_fpn.py'
model = dict(
    neck=dict(start_level=1, add_extra_convs='on_output'),
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.05,
        nms=dict(type='nms', iou_threshold=0.6),
        max_per_img=100))
