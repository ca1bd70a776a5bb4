_base_ = './yolov3_mobilenetv2_mstrain-416_300e_coco.py'
model = dict(
    bbox_head=dict(
        anchor_generator=dict(
            base_sizes=[
                [(220, 125), (128, 222), (264, 266)],
                [(35, 87), (102, 96), (60, 170)],
                [(10, 15), (24, 36), (72, 42)],
            ])))

data = dict(
    train=dict(dataset=dict(pipeline={{ _base_.expand_crop.mobile_320.train }})),
    val=dict(pipeline={{ _base_.expand_crop.mobile_320.test }}),
    test=dict(pipeline={{ _base_.expand_crop.mobile_320.test }}))
