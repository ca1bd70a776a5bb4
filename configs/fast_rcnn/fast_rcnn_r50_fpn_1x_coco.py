_base_ = [
    '../_base_/models/fast_rcnn_r50_fpn.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]
# The proposals are made beforehand by an RPN.
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline.insert(1, dict(type='LoadProposals', num_max_proposals=2000))
train_pipeline[-1].update(keys=['img', 'proposals', 'gt_bboxes', 'gt_labels'])
test_pipeline = {{ _base_.test_pipeline }}
test_pipeline.insert(1, dict(type='LoadProposals', num_max_proposals=None))
test_pipeline[2].update(transforms=[
    *test_pipeline[2]['transforms'][:-1],
    dict(type='ToTensor', keys=['proposals']),
    dict(type='ToDataContainer', fields=[dict(key='proposals', stack=False)]),
    dict(type='Collect', keys=['img', 'proposals']),
])
data = dict(
    train=dict(proposal_file=_base_.data_root + 'proposals/rpn_r50_fpn_1x_train2017.pkl', pipeline=train_pipeline),
    val=dict(proposal_file=_base_.data_root + 'proposals/rpn_r50_fpn_1x_val2017.pkl', pipeline=test_pipeline),
    test=dict(proposal_file=_base_.data_root + 'proposals/rpn_r50_fpn_1x_val2017.pkl', pipeline=test_pipeline))
