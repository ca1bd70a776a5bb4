import pytest
import torch
from raydet_ops import CARAFEPack, MultiScaleDeformableAttention

SHAPES = torch.tensor([[4, 4], [2, 2]])
SETTINGS = {"embed_dims": 8, "num_heads": 2, "num_levels": 2, "num_points": 3, "dropout": 0.0}


def arguments(coordinates=2):
    torch.manual_seed(0)
    query, value, position = torch.randn(5, 2, 8), torch.randn(20, 2, 8), torch.randn(5, 2, 8)
    points = torch.rand(2, 5, 2, coordinates)
    return {"query": query, "value": value, "query_pos": position, "reference_points": points, "spatial_shapes": SHAPES}


def moved(module):
    torch.nn.init.normal_(module.sampling_offsets.weight, std=0.1)
    torch.nn.init.normal_(module.attention_weights.weight)
    return module


def test_state_dict_has_the_keys_of_2x():
    names = {name.split(".")[0] for name in MultiScaleDeformableAttention().state_dict()}
    assert names == {"sampling_offsets", "attention_weights", "value_proj", "output_proj"}


def test_heads_start_in_directions_of_their_own():
    module = MultiScaleDeformableAttention(num_heads=8)
    offsets = module.sampling_offsets.bias.view(8, 4, 4, 2)
    torch.testing.assert_close(offsets[0, 0], torch.tensor([[1.0, 0], [2, 0], [3, 0], [4, 0]]), atol=1e-5, rtol=0)
    torch.testing.assert_close(offsets[1, 3], torch.tensor([[1.0, 1], [2, 2], [3, 3], [4, 4]]), atol=1e-5, rtol=0)
    assert not module.attention_weights.weight.any()


@pytest.mark.parametrize("coordinates", [2, 4])
def test_batch_first_only_moves_the_axes(coordinates):
    module = moved(MultiScaleDeformableAttention(**SETTINGS))
    given = arguments(coordinates)
    expected = module(**given)
    module.batch_first = True
    swapped = {name: x.transpose(0, 1) if name in ("query", "value", "query_pos") else x for name, x in given.items()}
    torch.testing.assert_close(module(**swapped).transpose(0, 1), expected)


def test_identity_is_added_and_defaults_to_the_query():
    module = moved(MultiScaleDeformableAttention(**SETTINGS))
    given = arguments()
    other = torch.randn(5, 2, 8)
    torch.testing.assert_close(module(**given, identity=other) - other, module(**given) - given["query"])


def test_padding_counts_as_zero():
    module = moved(MultiScaleDeformableAttention(**SETTINGS))
    given = arguments()
    everything = torch.ones(2, 20, dtype=torch.bool)
    result = module(**given, key_padding_mask=everything)
    torch.testing.assert_close(result, given["query"] + module.output_proj.bias)


def test_wrong_points_are_named():
    module = MultiScaleDeformableAttention(**SETTINGS)
    with pytest.raises(ValueError, match="reference_points must be points"):
        module(**arguments(3))
    with pytest.raises(ValueError, match="needs reference_points"):
        module(torch.zeros(5, 2, 8))
    with pytest.raises(ValueError, match="divisible"):
        MultiScaleDeformableAttention(embed_dims=10, num_heads=3)


def test_carafe_masks_of_each_window_sum_to_one():
    pack = CARAFEPack(4, 2, up_kernel=3, up_group=2)
    x = torch.randn(1, 4, 3, 5)
    masks = pack.kernel_normalizer(pack.content_encoder(pack.channel_compressor(x)))
    assert masks.shape == (1, 18, 6, 10)
    torch.testing.assert_close(masks.unflatten(1, (2, 9)).sum(2), torch.ones(1, 2, 6, 10))
    assert pack(x).shape == (1, 4, 6, 10)
    assert {name.split(".")[0] for name in pack.state_dict()} == {"channel_compressor", "content_encoder"}
