# Open Images V6.
_base_ = './coco_detection.py'
dataset_type = 'OpenImagesDataset'
data_root = 'data/OpenImages/'
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[1].update(denorm_bbox=True)
train_pipeline[2].update(img_scale=(1024, 800))
test_pipeline = {{ _base_.test_pipeline }}
test_pipeline[1].update(img_scale=(1024, 800))
labels = dict(
    label_file=data_root + 'annotations/class-descriptions-boxable.csv',
    hierarchy_file=data_root + 'annotations/bbox_labels_600_hierarchy.json')
test_set = dict(
    type=dataset_type,
    ann_file=data_root + 'annotations/validation-annotations-bbox.csv',
    img_prefix=data_root + 'OpenImages/validation/',
    meta_file=data_root + 'annotations/validation-image-metas.pkl',
    image_level_ann_file=data_root + 'annotations/validation-annotations-human-imagelabels-boxable.csv',
    pipeline=test_pipeline,
    **labels)
data = dict(
    train=dict(
        type=dataset_type,
        ann_file=data_root + 'annotations/oidv6-train-annotations-bbox.csv',
        img_prefix=data_root + 'OpenImages/train/',
        pipeline=train_pipeline,
        **labels),
    val=test_set,
    test=test_set)
evaluation = dict(metric='mAP')
