_base_ = ['../faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py', '../_base_/models/carafe.py']
model = dict(neck={{ _base_.carafe.neck }})

# Sizes are multiples of 64, so that every level doubles exactly.
train_pipeline = {{ _base_.train_pipeline }}
train_pipeline[5].update(size_divisor=64)
test_pipeline = {{ _base_.test_pipeline }}
test_pipeline[1]['transforms'][3].update(size_divisor=64)
data = dict(
    train=dict(pipeline=train_pipeline), val=dict(pipeline=test_pipeline), test=dict(pipeline=test_pipeline))
