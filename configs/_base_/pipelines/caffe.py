# Pipelines for COCO with backbones whose weights come from Caffe: BGR pixels, only the mean is subtracted.
# A config takes what it needs: data = dict(train=dict(pipeline={{ _base_.caffe.box_train }}))
# Weights of the first Detectron have a mean of their own: {{ _base_.detectron.box_train }}


def train(mean, resize, annotations, keys, proposals=()):
    return [
        dict(type='LoadImageFromFile'),
        *proposals,
        dict(type='LoadAnnotations', with_bbox=True, **annotations),
        dict(type='Resize', keep_ratio=True, **resize),
        dict(type='RandomFlip', flip_ratio=0.5),
        dict(type='Normalize', mean=mean, std=[1.0, 1.0, 1.0], to_rgb=False),
        dict(type='Pad', size_divisor=32),
        dict(type='DefaultFormatBundle'),
        dict(type='Collect', keys=keys),
    ]


def test(mean, keys, load=(), form=()):
    return [
        dict(type='LoadImageFromFile'),
        *load,
        dict(
            type='MultiScaleFlipAug',
            img_scale=(1333, 800),
            flip=False,
            transforms=[
                dict(type='Resize', keep_ratio=True),
                dict(type='RandomFlip'),
                dict(type='Normalize', mean=mean, std=[1.0, 1.0, 1.0], to_rgb=False),
                dict(type='Pad', size_divisor=32),
                dict(type='ImageToTensor', keys=['img']),
                *form,
                dict(type='Collect', keys=keys),
            ]),
    ]


def all_pipelines(mean):
    single = dict(img_scale=(1333, 800))
    several = dict(img_scale=[(1333, height) for height in (640, 672, 704, 736, 768, 800)], multiscale_mode='value')
    between = dict(img_scale=[(1333, 640), (1333, 800)], multiscale_mode='range')
    two = dict(img_scale=[(1333, 640), (1333, 800)], multiscale_mode='value')
    boxes = ['img', 'gt_bboxes', 'gt_labels']
    masks = [*boxes, 'gt_masks']
    polygons = dict(with_mask=True, poly2mask=False)
    format_proposals = [
        dict(type='ToTensor', keys=['proposals']),
        dict(type='ToDataContainer', fields=[dict(key='proposals', stack=False)]),
    ]
    return dict(
        box_train=train(mean, single, dict(), boxes),
        box_train_several=train(mean, several, dict(), boxes),
        box_train_between=train(mean, between, dict(), boxes),
        mask_train=train(mean, single, dict(with_mask=True), masks),
        mask_train_several=train(mean, several, dict(with_mask=True), masks),
        polygon_train=train(mean, single, polygons, masks),
        polygon_train_several=train(mean, several, polygons, masks),
        box_train_two=train(mean, two, dict(), boxes),
        polygon_train_between=train(mean, between, polygons, masks),
        rpn_train=train(mean, single, dict(with_label=False), ['img', 'gt_bboxes']),
        proposal_train=train(
            mean, single, dict(), ['img', 'proposals', 'gt_bboxes', 'gt_labels'],
            [dict(type='LoadProposals', num_max_proposals=2000)]),
        test=test(mean, ['img']),
        proposal_test=test(
            mean, ['img', 'proposals'], [dict(type='LoadProposals', num_max_proposals=None)], format_proposals))


caffe = all_pipelines([103.530, 116.280, 123.675])
detectron = all_pipelines([102.9801, 115.9465, 122.7717])
