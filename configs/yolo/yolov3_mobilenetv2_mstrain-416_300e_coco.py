_base_ = './yolov3_d53_mstrain-608_273e_coco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='MobileNetV2',
        out_indices=(2, 4, 6),
        act_cfg=dict(type='LeakyReLU', negative_slope=0.1),
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://mmdet/mobilenet_v2')),
    neck=dict(in_channels=[320, 96, 32], out_channels=[96, 96, 96]),
    bbox_head=dict(in_channels=[96, 96, 96], out_channels=[96, 96, 96]))

data = dict(
    samples_per_gpu=24,
    train=dict(
        _delete_=True,
        type='RepeatDataset',  # an epoch is ten rounds
        times=10,
        dataset=dict(
            type='CocoDataset',
            ann_file='data/coco/annotations/instances_train2017.json',
            img_prefix='data/coco/train2017/',
            pipeline={{ _base_.expand_crop.mobile_416.train }})),
    val=dict(pipeline={{ _base_.expand_crop.mobile_416.test }}),
    test=dict(pipeline={{ _base_.expand_crop.mobile_416.test }}))

optimizer = dict(lr=0.003)
lr_config = dict(warmup_iters=4000, warmup_ratio=0.0001, step=[24, 28])
runner = dict(max_epochs=30)
find_unused_parameters = True
auto_scale_lr = dict(base_batch_size=192)  # 8 GPUs x 24 samples
