# Upsampling that reassembles what is around each place; a config takes it: model = dict(neck={{ _base_.carafe.neck }})


def upsampling(options=()):
    return dict(
        type='carafe',
        up_kernel=5,
        up_group=1,
        encoder_kernel=3,
        encoder_dilation=1,
        compressed_channels=64,
        **dict(options))


carafe = dict(
    neck=dict(
        type='FPN_CARAFE',
        start_level=0,
        end_level=-1,
        norm_cfg=None,
        act_cfg=None,
        order=('conv', 'norm', 'act'),
        upsample_cfg=upsampling()),
    mask_head=dict(upsample_cfg=upsampling(dict(scale_factor=2))))
