_base_ = ['../retinanet/retinanet_r50_caffe_fpn_1x_coco.py', '../_base_/models/guided_anchoring.py']
model = dict(
    bbox_head={{ _base_.guided_anchoring.retina.head }}, train_cfg={{ _base_.guided_anchoring.retina.train_cfg }})
optimizer_config = dict(_delete_=True, grad_clip=dict(max_norm=35, norm_type=2))
