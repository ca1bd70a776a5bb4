_base_ = ['../rpn/rpn_r50_caffe_fpn_1x_coco.py', '../_base_/models/cascade_rpn.py']
model = dict(
    rpn_head={{ _base_.cascade_rpn.alone }},
    train_cfg=dict(rpn={{ _base_.cascade_rpn.train_cfg }}),
    test_cfg=dict(
        rpn=dict(nms_pre=2000, max_per_img=2000, nms=dict(type='nms', iou_threshold=0.8), min_bbox_size=0)))
optimizer_config = dict(_delete_=True, grad_clip=dict(max_norm=35, norm_type=2))
