_base_ = './mask_rcnn_r50_caffe_fpn_1x_coco.py'
data = dict(train=dict(pipeline={{ _base_.caffe.polygon_train_several }}))
