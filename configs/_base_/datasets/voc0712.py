# PASCAL VOC 2007 and 2012 trainval, three times an epoch; tested on VOC 2007.
_base_ = './coco_detection.py'
dataset_type = 'VOCDataset'
data_root = 'data/VOCdevkit/'
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[2].update(img_scale=(1000, 600))
test_pipeline = {{ _base_.test_pipeline }}
test_pipeline[1].update(img_scale=(1000, 600))
test_set = dict(
    type=dataset_type,
    ann_file=data_root + 'VOC2007/ImageSets/Main/test.txt',
    img_prefix=data_root + 'VOC2007/',
    pipeline=test_pipeline)
data = dict(
    train=dict(
        _delete_=True,
        type='RepeatDataset',
        times=3,
        dataset=dict(
            type=dataset_type,
            ann_file=[
                data_root + 'VOC2007/ImageSets/Main/trainval.txt',
                data_root + 'VOC2012/ImageSets/Main/trainval.txt',
            ],
            img_prefix=[data_root + 'VOC2007/', data_root + 'VOC2012/'],
            pipeline=train_pipeline)),
    val=test_set,
    test=test_set)
evaluation = dict(metric='mAP')
