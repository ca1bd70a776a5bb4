_base_ = '../paa/paa_r50_fpn_1x_coco.py'
# The teacher: PAA with ResNet-101, trained for 12 epochs. It starts from that, not from ImageNet.
teacher_bbox_head = {{ _base_.model.bbox_head }}
teacher_bbox_head.update(type='LADHead')
teacher_backbone = {{ _base_.model.backbone }}
teacher_backbone.update(depth=101)
teacher_backbone.pop('init_cfg')
model = dict(
    type='LAD',
    bbox_head=dict(type='LADHead'),
    teacher_ckpt='http://download.openmmlab.com/mmdetection/v2.0/paa/paa_r101_fpn_1x_coco/paa_r101_fpn_1x_coco_20200821-0a1825a4.pth',
    teacher_backbone=teacher_backbone,
    teacher_neck={{ _base_.model.neck }},
    teacher_bbox_head=teacher_bbox_head,
    test_cfg=dict(score_voting=True))
data = dict(samples_per_gpu=8, workers_per_gpu=4)
fp16 = dict(loss_scale=512.0)
