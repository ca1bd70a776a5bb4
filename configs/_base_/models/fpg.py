# The grid of nine pathways; a config takes it as its neck: model = dict(neck={{ _base_.fpg.two_stage }})


def convolve(kind, kernel_size, options=()):
    return dict(
        type=kind,
        kernel_size=kernel_size,
        norm_cfg=dict(type='BN', requires_grad=True),
        inplace=False,
        order=('act', 'conv', 'norm'),
        **dict(options))


def grid(levels=()):
    return dict(
        _delete_=True,
        type='FPG',
        in_channels=[256, 512, 1024, 2048],
        out_channels=256,
        inter_channels=256,
        num_outs=5,
        stack_times=9,
        paths=['bu'] * 9,
        same_down_trans=None,
        same_up_trans=convolve('conv', 3, dict(stride=2, padding=1)),
        across_lateral_trans=convolve('conv', 1),
        across_down_trans=convolve('interpolation_conv', 3, dict(mode='nearest')),
        across_up_trans=None,
        across_skip_trans=convolve('conv', 1),
        output_trans=dict(type='last_conv', kernel_size=3, order=('act', 'conv', 'norm'), inplace=False),
        norm_cfg=dict(type='BN', requires_grad=True),
        skip_inds=[(0, 1, 2, 3), (0, 1, 2), (0, 1), (0, ), ()],
        **dict(levels))


fpg = dict(two_stage=grid(), retina=grid(dict(add_extra_convs=True, start_level=1)))
