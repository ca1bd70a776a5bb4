_base_ = './coco_detection.py'
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[1].update(with_mask=True)
train_pipeline[-1]['keys'].append('gt_masks')
data = dict(train=dict(pipeline=train_pipeline))
evaluation = dict(metric=['bbox', 'segm'])
