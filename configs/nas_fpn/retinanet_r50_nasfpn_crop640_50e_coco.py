_base_ = './retinanet_r50_fpn_crop640_50e_coco.py'
model = dict(
    neck=dict(
        _delete_=True,
        type='NASFPN',
        in_channels=[256, 512, 1024, 2048],
        out_channels=256,
        num_outs=5,
        stack_times=7,
        add_extra_convs='on_input',
        start_level=1,
        norm_cfg=dict(type='BN', requires_grad=True)))
data = dict(
    val=dict(pipeline={{ _base_.crop640.test_128 }}), test=dict(pipeline={{ _base_.crop640.test_128 }}))
