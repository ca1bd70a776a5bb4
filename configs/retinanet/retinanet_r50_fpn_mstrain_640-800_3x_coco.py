_base_ = ['../_base_/models/retinanet_r50_fpn.py', '../common/mstrain_3x_coco.py']
optimizer = dict(lr=0.01)
