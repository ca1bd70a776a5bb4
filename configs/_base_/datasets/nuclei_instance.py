# Cell nuclei in 128 x 128 pixel microscope tiles, with masks; they travel inside the package.
_base_ = './neontrees_detection.py'
data_root = '{{ raydetAssets }}/nuclei/'
classes = ('nucleus',)
img_scale = (256, 256)
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[1].update(with_mask=True)
train_pipeline[2].update(img_scale=img_scale)
train_pipeline[-1]['keys'].append('gt_masks')
test_pipeline = {{ _base_.test_pipeline }}
test_pipeline[1].update(img_scale=img_scale)
train_files = dict(classes=classes, ann_file=data_root + 'instances_train.json', img_prefix=data_root + 'images/')
val_files = dict(train_files, ann_file=data_root + 'instances_val.json')
data = dict(
    train=dict(pipeline=train_pipeline, **train_files),
    val=dict(pipeline=test_pipeline, **val_files),
    test=dict(pipeline=test_pipeline, **val_files))
evaluation = dict(metric=['bbox', 'segm'])
