_base_ = ['./fcos_r50_caffe_fpn_gn-head_1x_coco.py']
data = dict(train=dict(pipeline={{ _base_.detectron.box_train_two }}))
lr_config = dict(step=[16, 22])
runner = dict(max_epochs=24)
