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
# They are few and good.
train_pipeline = {{ _base_.caffe.proposal_train }}
train_pipeline[1].update(num_max_proposals=300)
test_pipeline = {{ _base_.caffe.proposal_test }}
test_pipeline[1].update(num_max_proposals=300)
data = dict(
    train=dict(proposal_file='data/coco/proposals/crpn_r50_caffe_fpn_1x_train2017.pkl', pipeline=train_pipeline),
    val=dict(proposal_file='data/coco/proposals/crpn_r50_caffe_fpn_1x_val2017.pkl', pipeline=test_pipeline),
    test=dict(proposal_file='data/coco/proposals/crpn_r50_caffe_fpn_1x_val2017.pkl', pipeline=test_pipeline))
optimizer_config = dict(_delete_=True, grad_clip=dict(max_norm=35, norm_type=2))
