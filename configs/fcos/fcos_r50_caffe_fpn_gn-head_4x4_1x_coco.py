_base_ = './fcos_r50_caffe_fpn_gn-head_1x_coco.py'
# Four images on each of four GPUs; the other configs of this folder were made for eight.
data = dict(samples_per_gpu=4, workers_per_gpu=4)
