_base_ = ['../faster_rcnn/faster_rcnn_r50_caffe_fpn_1x_coco.py', '../_base_/models/cascade_rpn.py']
model = dict(
    rpn_head={{ _base_.cascade_rpn.with_roi_head }},
    roi_head=dict(
        bbox_head=dict(
            bbox_coder=dict(target_stds=[0.04, 0.04, 0.08, 0.08]),
            loss_cls=dict(loss_weight=1.5),
            loss_bbox=dict(type='SmoothL1Loss', beta=1.0))),
    train_cfg=dict(
        rpn={{ _base_.cascade_rpn.train_cfg }},
        rpn_proposal=dict(max_per_img=300, nms=dict(iou_threshold=0.8)),
        rcnn=dict(
            assigner=dict(pos_iou_thr=0.65, neg_iou_thr=0.65, min_pos_iou=0.65),
            sampler=dict(type='RandomSampler', num=256))),
    test_cfg=dict(
        rpn=dict(max_per_img=300, nms=dict(iou_threshold=0.8)), rcnn=dict(score_thr=1e-3)))
optimizer_config = dict(_delete_=True, grad_clip=dict(max_norm=35, norm_type=2))
