_base_ = './faster_rcnn_r50_fpn_1x_coco.py'
model = dict(
    roi_head=dict(
        bbox_head=dict(reg_decoded_bbox=True, loss_bbox=dict(type='BoundedIoULoss', loss_weight=10.0))))
