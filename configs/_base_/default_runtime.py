checkpoint_config = dict(interval=1)
log_config = dict(interval=50, hooks=[dict(type='TextLoggerHook')])  # also possible: TensorboardLoggerHook
custom_hooks = [dict(type='NumClassCheckHook')]

dist_params = dict(backend='nccl')
log_level = 'INFO'
load_from = None
resume_from = None
workflow = [('train', 1)]

# OpenCV's own threads would compete with the data workers
opencv_num_threads = 0
mp_start_method = 'fork'

# The learning rate follows the batch size when enabled; 16 = 8 GPUs x 2 samples.
auto_scale_lr = dict(enable=False, base_batch_size=16)
