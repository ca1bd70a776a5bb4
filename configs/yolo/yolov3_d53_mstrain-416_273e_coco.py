_base_ = './yolov3_d53_mstrain-608_273e_coco.py'
data = dict(
    train=dict(pipeline={{ _base_.expand_crop.yolo_416.train }}),
    val=dict(pipeline={{ _base_.expand_crop.yolo_416.test }}),
    test=dict(pipeline={{ _base_.expand_crop.yolo_416.test }}))
