# Objects365 version 1.
_base_ = './coco_detection.py'
dataset_type = 'Objects365V1Dataset'
data_root = 'data/Objects365/Obj365_v1/'
test_set = dict(type=dataset_type, ann_file=data_root + 'annotations/objects365_val.json', img_prefix=data_root + 'val/')
data = dict(
    train=dict(
        type=dataset_type,
        ann_file=data_root + 'annotations/objects365_train.json',
        img_prefix=data_root + 'train/'),
    val=test_set,
    test=test_set)
