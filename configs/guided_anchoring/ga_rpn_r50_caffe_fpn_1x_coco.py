_base_ = ['../rpn/rpn_r50_caffe_fpn_1x_coco.py', '../_base_/models/guided_anchoring.py']
model = dict(
    rpn_head={{ _base_.guided_anchoring.rpn.head }},
    train_cfg=dict(rpn={{ _base_.guided_anchoring.rpn.train_cfg }}),
    test_cfg=dict(rpn=dict(nms_post=1000)))
optimizer_config = dict(_delete_=True, grad_clip=dict(max_norm=35, norm_type=2))
