_base_ = './nas_fcos_nashead_r50_caffe_fpn_gn-head_4x4_1x_coco.py'
model = dict(bbox_head=dict(type='FCOSHead', stacked_convs=4))
