# Pipelines of detectors that start without frozen statistics: images around 640 pixels, cropped to 640 x 640.
# A config takes what it needs: data = dict(train=dict(pipeline={{ _base_.crop640.box_train }}))
def normalize():
    return dict(
        type='Normalize', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)


def train(annotations, keys):
    return [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True, **annotations),
        dict(type='Resize', img_scale=(640, 640), ratio_range=(0.8, 1.2), keep_ratio=True),
        dict(type='RandomCrop', crop_size=(640, 640)),
        dict(type='RandomFlip', flip_ratio=0.5),
        normalize(),
        dict(type='Pad', size=(640, 640)),
        dict(type='DefaultFormatBundle'),
        dict(type='Collect', keys=keys),
    ]


def test(size_divisor):
    return [
        dict(type='LoadImageFromFile'),
        dict(
            type='MultiScaleFlipAug',
            img_scale=(640, 640),
            flip=False,
            transforms=[
                dict(type='Resize', keep_ratio=True),
                dict(type='RandomFlip'),
                normalize(),
                dict(type='Pad', size_divisor=size_divisor),
                dict(type='ImageToTensor', keys=['img']),
                dict(type='Collect', keys=['img']),
            ]),
    ]


crop640 = dict(
    box_train=train(dict(), ['img', 'gt_bboxes', 'gt_labels']),
    mask_train=train(dict(with_mask=True), ['img', 'gt_bboxes', 'gt_labels', 'gt_masks']),
    test_64=test(64),
    test_128=test(128))
