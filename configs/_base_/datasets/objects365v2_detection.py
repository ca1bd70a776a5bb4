# Objects365 version 2.
_base_ = './coco_detection.py'
dataset_type = 'Objects365V2Dataset'
data_root = 'data/Objects365/Obj365_v2/'
test_set = dict(type=dataset_type, ann_file=data_root + 'annotations/zhiyuan_objv2_val.json', img_prefix=data_root + 'val/')
data = dict(
    train=dict(
        type=dataset_type,
        ann_file=data_root + 'annotations/zhiyuan_objv2_train.json',
        img_prefix=data_root + 'train/'),
    val=test_set,
    test=test_set)
