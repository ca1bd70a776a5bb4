# The nuclei for training from scratch: several rounds an epoch, and pixels scaled by what the micrographs have.
_base_ = './nuclei_instance.py'
# they are dark and grey
img_norm_cfg = dict(mean=[40.0, 40.0, 40.0], std=[45.0, 45.0, 45.0], to_rgb=True)
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[4].update(img_norm_cfg)
test_pipeline = {{ _base_.test_pipeline }}
test_pipeline[1]['transforms'][2].update(img_norm_cfg)
data = dict(
    train=dict(
        _delete_=True,
        type='RepeatDataset',
        times=10,
        dataset=dict(type='CocoDataset', pipeline=train_pipeline, **_base_.train_files)),
    val=dict(pipeline=test_pipeline),
    test=dict(pipeline=test_pipeline))
