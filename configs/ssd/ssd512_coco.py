_base_ = './ssd300_coco.py'
input_size = 512
model = dict(
    neck=dict(
        out_channels=(512, 1024, 512, 256, 256, 256, 256),
        level_strides=(2, 2, 2, 2, 1),
        level_paddings=(1, 1, 1, 1, 1),
        last_kernel_size=4),
    bbox_head=dict(
        in_channels=(512, 1024, 512, 256, 256, 256, 256),
        anchor_generator=dict(
            input_size=input_size,
            basesize_ratio_range=(0.1, 0.9),
            strides=[8, 16, 32, 64, 128, 256, 512],
            ratios=[[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]])))

data = dict(
    train=dict(dataset=dict(pipeline={{ _base_.expand_crop.ssd_512.train }})),
    val=dict(pipeline={{ _base_.expand_crop.ssd_512.test }}),
    test=dict(pipeline={{ _base_.expand_crop.ssd_512.test }}))
