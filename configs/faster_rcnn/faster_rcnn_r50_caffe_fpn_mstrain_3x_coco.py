_base_ = './faster_rcnn_r50_caffe_fpn_mstrain_1x_coco.py'
lr_config = dict(step=[28, 34])
runner = dict(max_epochs=36)
