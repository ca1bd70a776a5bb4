# As the authors have it: other pixels, padding, anchors, predictors and start of the offsets.
_base_ = ['./atss_r50_fpn_dyhead_1x_coco.py', '../_base_/models/backbones.py', '../_base_/pipelines/caffe.py']
model = dict(
    backbone={{ _base_.backbones.resnet50_caffe }},
    neck=[_base_.model.neck[0], dict(_base_.model.neck[1], zero_init_offset=False)],
    bbox_head=dict(pred_kernel_size=1, anchor_generator=dict(center_offset=0.5)))

train_pipeline = {{ _base_.caffe.box_train }}
train_pipeline[5].update(size_divisor=128)
test_pipeline = {{ _base_.caffe.test }}
test_pipeline[1]['transforms'][3].update(size_divisor=128)
data = dict(
    train=dict(pipeline=train_pipeline), val=dict(pipeline=test_pipeline), test=dict(pipeline=test_pipeline))
