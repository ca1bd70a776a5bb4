_base_ = ['./fcos_r50_caffe_fpn_gn-head_1x_coco.py']
model = dict(
    backbone=dict(init_cfg=dict(checkpoint='open-mmlab://detectron2/resnet50_caffe')),
    bbox_head=dict(
        norm_on_bbox=True,
        centerness_on_reg=True,
        dcn_on_last_conv=False,
        center_sampling=True,
        conv_bias=True,
        loss_bbox=dict(_delete_=True, type='GIoULoss', loss_weight=1.0)),
    test_cfg=dict(nms=dict(iou_threshold=0.6)))
data = dict(
    train=dict(pipeline={{ _base_.caffe.box_train }}),
    val=dict(pipeline={{ _base_.caffe.test }}),
    test=dict(pipeline={{ _base_.caffe.test }}))
optimizer_config = dict(_delete_=True, grad_clip=None)
lr_config = dict(warmup='linear')
