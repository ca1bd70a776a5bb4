_base_ = ['../faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py', '../_base_/models/guided_anchoring.py']
model = dict(
    rpn_head={{ _base_.guided_anchoring.rpn.head }},
    roi_head=dict(bbox_head=dict(bbox_coder=dict(target_stds=[0.05, 0.05, 0.1, 0.1]))),
    train_cfg=dict(
        rpn={{ _base_.guided_anchoring.rpn.train_cfg }},
        rpn_proposal=dict(nms_post=1000, max_per_img=300),
        rcnn=dict(
            assigner=dict(pos_iou_thr=0.6, neg_iou_thr=0.6, min_pos_iou=0.6),
            sampler=dict(type='RandomSampler', num=256))),
    test_cfg=dict(rpn=dict(nms_post=1000, max_per_img=300), rcnn=dict(score_thr=1e-3)))
optimizer_config = dict(_delete_=True, grad_clip=dict(max_norm=35, norm_type=2))
