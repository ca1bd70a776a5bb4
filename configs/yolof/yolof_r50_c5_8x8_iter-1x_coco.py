_base_ = './yolof_r50_c5_8x8_1x_coco.py'
# Of 64 images each: 12.3 epochs.
runner = dict(_delete_=True, type='IterBasedRunner', max_iters=22500)
lr_config = dict(step=[15000, 20000])
checkpoint_config = dict(interval=2500)
evaluation = dict(interval=4500)
log_config = dict(interval=20)
