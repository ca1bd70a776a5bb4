# Tree crowns in 256 x 256 pixel aerial photos (10 cm per pixel); they travel inside the package.
_base_ = './coco_detection.py'
data_root = '{{ raydetAssets }}/neontrees/'
classes = ('tree',)
# a photo seen from above has no preferred direction, and crowns are small: twice the size suits the pyramid's anchors
img_scale = (512, 512)
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[2].update(img_scale=img_scale)
train_pipeline[3].update(flip_ratio=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal'])
test_pipeline = {{ _base_.test_pipeline }}
test_pipeline[1].update(img_scale=img_scale)
train_files = dict(classes=classes, ann_file=data_root + 'instances_train.json', img_prefix=data_root + 'images/')
val_files = dict(train_files, ann_file=data_root + 'instances_val.json')
data = dict(
    samples_per_gpu=4,
    train=dict(pipeline=train_pipeline, **train_files),
    val=dict(pipeline=test_pipeline, **val_files),
    test=dict(pipeline=test_pipeline, **val_files))
