# As mstrain_3x_coco, with masks that stay polygons until the losses need them.
_base_ = './mstrain_3x_coco.py'
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[1] = dict(type='LoadAnnotations', with_bbox=True, with_mask=True, poly2mask=False)
train_pipeline[-1] = dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks'])
data = dict(train=dict(dataset=dict(pipeline=train_pipeline)))
evaluation = dict(metric=['bbox', 'segm'])
