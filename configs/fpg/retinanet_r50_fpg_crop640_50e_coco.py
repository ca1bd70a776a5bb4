_base_ = ['../nas_fpn/retinanet_r50_nasfpn_crop640_50e_coco.py', '../_base_/models/fpg.py']
model = dict(neck={{ _base_.fpg.retina }})
evaluation = dict(interval=2)
