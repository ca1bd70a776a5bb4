# Both stages work on the output of the third stage of a ResNet, without a neck; the fourth runs on each region.
_base_ = './faster_rcnn_r50_fpn.py'
norm_cfg = dict(type='BN', requires_grad=False)
model = dict(
    _delete_=True,
    type='FasterRCNN',
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2, ),
        frozen_stages=1,
        norm_cfg=norm_cfg,
        norm_eval=True,
        style='caffe',
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://detectron2/resnet50_caffe')),
    rpn_head=dict(
        _base_.model.rpn_head,
        in_channels=1024,
        feat_channels=1024,
        anchor_generator=dict(
            type='AnchorGenerator', scales=[2, 4, 8, 16, 32], ratios=[0.5, 1.0, 2.0], strides=[16])),
    roi_head=dict(
        type='StandardRoIHead',
        shared_head=dict(
            type='ResLayer',
            depth=50,
            stage=3,
            stride=2,
            dilation=1,
            style='caffe',
            norm_cfg=norm_cfg,
            norm_eval=True,
            init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://detectron2/resnet50_caffe')),
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
            out_channels=1024,
            featmap_strides=[16]),
        bbox_head=dict(
            type='BBoxHead',
            with_avg_pool=True,
            roi_feat_size=7,
            in_channels=2048,
            num_classes=80,
            bbox_coder={{ _base_.model.roi_head.bbox_head.bbox_coder }},
            reg_class_agnostic=False,
            loss_cls={{ _base_.model.roi_head.bbox_head.loss_cls }},
            loss_bbox={{ _base_.model.roi_head.bbox_head.loss_bbox }})),
    train_cfg=dict(
        _base_.model.train_cfg,
        rpn_proposal=dict(_base_.model.train_cfg.rpn_proposal, nms_pre=12000, max_per_img=2000)),
    test_cfg=dict(_base_.model.test_cfg, rpn=dict(_base_.model.test_cfg.rpn, nms_pre=6000)))
