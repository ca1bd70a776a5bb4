_base_ = ['../_base_/models/faster_rcnn_r50_fpn.py', '../common/mstrain_3x_coco.py']
