_base_ = ['./ga_faster_r50_fpn_1x_coco.py', '../_base_/pipelines/caffe.py']
model = dict(
    backbone=dict(
        norm_cfg=dict(requires_grad=False),
        norm_eval=True,
        style='caffe',
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://detectron2/resnet50_caffe')))
data = dict(
    train=dict(pipeline={{ _base_.caffe.box_train }}),
    val=dict(pipeline={{ _base_.caffe.test }}),
    test=dict(pipeline={{ _base_.caffe.test }}))
