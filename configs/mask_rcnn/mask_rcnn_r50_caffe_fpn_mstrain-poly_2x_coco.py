_base_ = './mask_rcnn_r50_caffe_fpn_mstrain-poly_1x_coco.py'
lr_config = dict(step=[16, 23])
runner = dict(max_epochs=24)
