# LVIS v1; its files name the folders of the images.
_base_ = './lvis_v0.5_instance.py'
dataset_type = 'LVISV1Dataset'
data_root = 'data/lvis_v1/'
test_set = dict(type=dataset_type, ann_file=data_root + 'annotations/lvis_v1_val.json', img_prefix=data_root)
data = dict(
    train=dict(
        dataset=dict(
            type=dataset_type, ann_file=data_root + 'annotations/lvis_v1_train.json', img_prefix=data_root)),
    val=test_set,
    test=test_set)
