# Pipelines of SSD and YOLOv3: objects shrink on a larger canvas, or a part that shows enough of them is cut out.
# A config takes what it needs: data = dict(train=dict(pipeline={{ _base_.expand_crop.ssd_300.train }}))


def normalization(kind):
    return dict(
        unit=dict(mean=[0, 0, 0], std=[255.0, 255.0, 255.0], to_rgb=True),
        mean=dict(mean=[123.675, 116.28, 103.53], std=[1, 1, 1], to_rgb=True),
        both=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True))[kind]


def train(kind, canvas, overlaps, resize, color, pad):
    norm = normalization(kind)
    return [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='Expand', mean=norm['mean'], to_rgb=norm['to_rgb'], ratio_range=(1, canvas)),
        dict(type='MinIoURandomCrop', min_ious=overlaps, min_crop_size=0.3),
        dict(type='Resize', **resize),
        dict(type='RandomFlip', flip_ratio=0.5),
        dict(type='PhotoMetricDistortion', **color),
        dict(type='Normalize', **norm),
        *pad,
        dict(type='DefaultFormatBundle'),
        dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels']),
    ]


def test(kind, scale, resize, pad):
    return [
        dict(type='LoadImageFromFile'),
        dict(
            type='MultiScaleFlipAug',
            img_scale=scale,
            flip=False,
            transforms=[
                *resize,
                dict(type='Normalize', **normalization(kind)),
                *pad,
                dict(type='ImageToTensor', keys=['img']),
                dict(type='Collect', keys=['img']),
            ]),
    ]


def yolo(kind, scales, side):
    pad = [dict(type='Pad', size_divisor=32)]
    resize = [dict(type='Resize', keep_ratio=True), dict(type='RandomFlip')]
    overlaps = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    return dict(
        train=train(kind, 2, overlaps, dict(img_scale=scales, keep_ratio=True), dict(), pad),
        test=test(kind, (side, side), resize, pad))


def ssd(kind, side, pad):
    color = dict(
        brightness_delta=32, contrast_range=(0.5, 1.5), saturation_range=(0.5, 1.5), hue_delta=18)
    overlaps = (0.1, 0.3, 0.5, 0.7, 0.9)
    return dict(
        train=train(kind, 4, overlaps, dict(img_scale=(side, side), keep_ratio=False), color, pad),
        test=test(kind, (side, side), [dict(type='Resize', keep_ratio=False)], pad))


expand_crop = dict(
    yolo_608=yolo('unit', [(320, 320), (608, 608)], 608),
    yolo_416=yolo('unit', [(320, 320), (416, 416)], 416),
    yolo_320=yolo('unit', (320, 320), 320),
    mobile_416=yolo('both', [(320, 320), (416, 416)], 416),
    mobile_320=yolo('both', (320, 320), 320),
    ssd_300=ssd('mean', 300, []),
    ssd_512=ssd('mean', 512, []),
    ssd_lite=ssd('both', 320, [dict(type='Pad', size_divisor=320)]))
