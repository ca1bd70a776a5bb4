_base_ = './faster_rcnn_r50_fpn_1x_coco.py'
model = dict(test_cfg=dict(rcnn=dict(nms=dict(type='soft_nms'))))
