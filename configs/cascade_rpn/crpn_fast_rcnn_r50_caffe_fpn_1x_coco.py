# Fast R-CNN on the proposals of a trained crpn_r50_caffe_fpn_1x_coco.
_base_ = '../fast_rcnn/fast_rcnn_r50_caffe_fpn_1x_coco.py'
model = dict(
    roi_head=dict(
        bbox_head=dict(
            bbox_coder=dict(target_stds=[0.04, 0.04, 0.08, 0.08]),
            loss_cls=dict(loss_weight=1.5),
            loss_bbox=dict(type='SmoothL1Loss', beta=1.0))),
    train_cfg=dict(
        rcnn=dict(
            assigner=dict(pos_iou_thr=0.65, neg_iou_thr=0.65, min_pos_iou=0.65),
            sampler=dict(num=256))),
    test_cfg=dict(rcnn=dict(score_thr=1e-3)))
data = dict(
    train=dict(proposal_file='data/coco/proposals/crpn_r50_caffe_fpn_1x_train2017.pkl'),
    val=dict(proposal_file='data/coco/proposals/crpn_r50_caffe_fpn_1x_val2017.pkl'),
    test=dict(proposal_file='data/coco/proposals/crpn_r50_caffe_fpn_1x_val2017.pkl'))
optimizer_config = dict(_delete_=True, grad_clip=dict(max_norm=35, norm_type=2))
