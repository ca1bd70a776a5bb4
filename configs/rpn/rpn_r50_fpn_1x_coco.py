_base_ = [
    '../_base_/models/rpn_r50_fpn.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[1].update(with_label=False)
train_pipeline[-1].update(keys=['img', 'gt_bboxes'])
data = dict(train=dict(pipeline=train_pipeline))
evaluation = dict(metric='proposal_fast')
