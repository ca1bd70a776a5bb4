_base_ = './faster_rcnn_r50_caffe_fpn_1x_coco.py'
data = dict(train=dict(pipeline={{ _base_.caffe.box_train_several }}))
