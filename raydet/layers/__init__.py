"""Layers, and how they are built and initialised."""

from torch.nn import AdaptiveAvgPool2d

from raydet.layers.activations import Clamp, HSigmoid, Swish
from raydet.layers.attention import FFN, MultiheadAttention
from raydet.layers.averages import mean_over_ranks
from raydet.layers.base_module import BaseModule, ModuleDict, ModuleList, Sequential
from raydet.layers.channels import make_divisible
from raydet.layers.context_block import ContextBlock
from raydet.layers.conv_module import BN, RELU, ConvModule, DepthwiseSeparableConvModule
from raydet.layers.conv_variants import Conv2dAdaptivePadding, ConvWS2d
from raydet.layers.criss_cross import CrissCrossAttention
from raydet.layers.csp import CSPLayer, DarknetBottleneck
from raydet.layers.detr_layers import DetrTransformerDecoder, DetrTransformerDecoderLayer, DetrTransformerEncoder
from raydet.layers.drop import Dropout, DropPath, drop_path, rising_rates
from raydet.layers.drop_block import DropBlock
from raydet.layers.dynamic_relu import DyReLU
from raydet.layers.factory import (
    Cfg,
    build_activation_layer,
    build_conv_layer,
    build_dropout,
    build_norm_layer,
    build_padding_layer,
    build_plugin_layer,
    build_upsample_layer,
    is_norm,
)
from raydet.layers.folding import ConvNormChain, conv_then_norm
from raydet.layers.freezing import freeze, hold_batch_norms, init_cfg_with_pretrained
from raydet.layers.generalized_attention import GeneralizedAttention
from raydet.layers.init_functions import (
    bias_init_with_prob,
    caffe2_xavier_init,
    constant_init,
    kaiming_init,
    normal_init,
    trunc_normal_init,
    uniform_init,
    xavier_init,
)
from raydet.layers.init_log import update_init_info
from raydet.layers.initializers import InitCfg, initialize
from raydet.layers.inverted_residual import InvertedResidual
from raydet.layers.layer_norm import LayerNorm2d
from raydet.layers.merge_cells import BaseMergeCell, ConcatCell, GlobalPoolingCell, SumCell
from raydet.layers.non_local import NonLocal2d
from raydet.layers.normed import NormedConv2d, NormedLinear
from raydet.layers.padding import AdaptivePadding
from raydet.layers.patches import PatchEmbed, PatchMerging, nchw_to_nlc, nlc_to_nchw
from raydet.layers.position_encoding import LearnedPositionalEncoding, SinePositionalEncoding
from raydet.layers.recompute import recompute
from raydet.layers.res_layer import RESNET_STAGES, ResLayer, deep_stages
from raydet.layers.residual import BasicBlock, Bottleneck, MiddleConv, add_conv, conv_norm
from raydet.layers.rf_search import Conv2dRFSearchOp
from raydet.layers.scale import Scale
from raydet.layers.squeeze_excitation import SELayer
from raydet.layers.switchable_conv import ConvAWS2d, SAConv2d
from raydet.layers.sync_bn import MMSyncBatchNorm, SyncBatchNorm
from raydet.layers.transformer_layer import BaseTransformerLayer, TransformerLayerSequence
from raydet.layers.upsample import PixelShufflePack
from raydet.layers.weight_fitting import fit_weights, fit_when_loading, resize_grid
from raydet.layers.window_attention import ShiftWindowMSA, WindowMSA

__all__ = [
    "BN",
    "FFN",
    "RELU",
    "RESNET_STAGES",
    "AdaptiveAvgPool2d",
    "AdaptivePadding",
    "BaseMergeCell",
    "BaseModule",
    "BaseTransformerLayer",
    "BasicBlock",
    "Bottleneck",
    "CSPLayer",
    "Cfg",
    "Clamp",
    "ConcatCell",
    "ContextBlock",
    "Conv2dAdaptivePadding",
    "Conv2dRFSearchOp",
    "ConvAWS2d",
    "ConvModule",
    "ConvNormChain",
    "ConvWS2d",
    "CrissCrossAttention",
    "DarknetBottleneck",
    "DepthwiseSeparableConvModule",
    "DetrTransformerDecoder",
    "DetrTransformerDecoderLayer",
    "DetrTransformerEncoder",
    "DropBlock",
    "DropPath",
    "Dropout",
    "DyReLU",
    "GeneralizedAttention",
    "GlobalPoolingCell",
    "HSigmoid",
    "InitCfg",
    "InvertedResidual",
    "LayerNorm2d",
    "LearnedPositionalEncoding",
    "MMSyncBatchNorm",
    "MiddleConv",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NonLocal2d",
    "NormedConv2d",
    "NormedLinear",
    "PatchEmbed",
    "PatchMerging",
    "PixelShufflePack",
    "ResLayer",
    "SAConv2d",
    "SELayer",
    "Scale",
    "Sequential",
    "ShiftWindowMSA",
    "SinePositionalEncoding",
    "SumCell",
    "Swish",
    "SyncBatchNorm",
    "TransformerLayerSequence",
    "WindowMSA",
    "add_conv",
    "bias_init_with_prob",
    "build_activation_layer",
    "build_conv_layer",
    "build_dropout",
    "build_norm_layer",
    "build_padding_layer",
    "build_plugin_layer",
    "build_upsample_layer",
    "caffe2_xavier_init",
    "constant_init",
    "conv_norm",
    "conv_then_norm",
    "deep_stages",
    "drop_path",
    "fit_weights",
    "fit_when_loading",
    "freeze",
    "hold_batch_norms",
    "init_cfg_with_pretrained",
    "initialize",
    "is_norm",
    "kaiming_init",
    "make_divisible",
    "mean_over_ranks",
    "nchw_to_nlc",
    "nlc_to_nchw",
    "normal_init",
    "recompute",
    "resize_grid",
    "rising_rates",
    "trunc_normal_init",
    "uniform_init",
    "update_init_info",
    "xavier_init",
]
