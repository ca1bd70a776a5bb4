_base_ = ['./mask_rcnn_r50_fpn_crop640_50e_coco.py', '../_base_/models/fpg.py']
model = dict(neck={{ _base_.fpg.two_stage }})
