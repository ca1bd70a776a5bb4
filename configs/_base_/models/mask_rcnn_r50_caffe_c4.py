# The mask branch shares the fourth stage of the ResNet with the box branch.
_base_ = './faster_rcnn_r50_caffe_c4.py'
model = dict(
    type='MaskRCNN',
    roi_head=dict(
        shared_head=dict(
            _delete_=True,
            type='ResLayer',
            depth=50,
            stage=3,
            stride=2,
            dilation=1,
            style='caffe',
            norm_cfg=_base_.norm_cfg,
            norm_eval=True),
        mask_roi_extractor=None,
        mask_head=dict(
            type='FCNMaskHead',
            num_convs=0,
            in_channels=2048,
            conv_out_channels=256,
            num_classes=80,
            loss_mask=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0))),
    train_cfg=dict(rpn=dict(allowed_border=0), rcnn=dict(mask_size=14)),
    test_cfg=dict(rcnn=dict(mask_thr_binary=0.5)))
