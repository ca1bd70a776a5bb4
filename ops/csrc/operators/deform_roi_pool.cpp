// Deformable RoI pooling (arXiv:1703.06211): RoIAlign whose cells are shifted, each by an offset of its own.
#include <tuple>

#include "../abi/boxing.h"
#include "../device/pool_elements.h"

namespace raydet {

template <typename T>
struct ShiftedRegions {
  SampledRegions<T> grid;
  const T *input, *offset;  // offset: x, then y, of every cell of a region; or null
  int64_t channels;
  T gamma;

  RAYDET_BODY int64_t cells() const { return grid.cells[0] * grid.cells[1]; }

  RAYDET_BODY const T* shift(const Place& at, int axis) const {
    return offset + (at.region * 2 + 1 - axis) * cells() + at.row * grid.cells[1] + at.column;
  }

  // How far a cell moves for an offset of 1.
  RAYDET_BODY T reach(const SampledAxis<T>& axis, int which) const {
    return gamma * axis.cell * static_cast<T>(grid.cells[which]);
  }

  RAYDET_BODY SampledAxis<T> axis(const Place& at, int which) const {
    SampledAxis<T> axis = grid.axis(at.region, which);
    if (offset) axis.first += reach(axis, which) * *shift(at, which);
    return axis;
  }
};

template <typename T>
struct PoolShifted {
  ShiftedRegions<T> shifted;
  T* output;

  RAYDET_BODY void operator()(int64_t index) const {
    const Place at = place_of(shifted.grid, shifted.channels, index);
    output[index] = 0;
    if (at.plane < 0) return;
    output[index] = mean_of(shifted.input + at.plane, shifted.axis(at, 0), shifted.axis(at, 1), at);
  }
};

template <typename T>
struct PoolShiftedBackward {
  ShiftedRegions<T> shifted;
  const T* upstream;
  T* gradient;

  RAYDET_BODY void operator()(int64_t index) const {
    const Place at = place_of(shifted.grid, shifted.channels, index);
    if (at.plane < 0) return;
    spread_mean(gradient + at.plane, shifted.axis(at, 0), shifted.axis(at, 1), at, upstream[index]);
  }
};

// The gradient in the offset of one cell, of all channels: an index is a region and a cell.
template <typename T>
struct OffsetBackward {
  ShiftedRegions<T> shifted;
  const T* upstream;
  T* gradient;

  RAYDET_BODY void operator()(int64_t index) const {
    const int64_t cells = shifted.cells(), channels = shifted.channels, stride = shifted.grid.limit[1];
    const Parts region = divide(index, cells);
    const int64_t first = region.whole * channels * cells + region.rest;
    const Place at = place_of(shifted.grid, channels, first);
    T down = 0, across = 0;
    const auto rows = shifted.axis(at, 0), columns = shifted.axis(at, 1);
    for (int64_t i = rows.begin(at.row); at.plane >= 0 && i < rows.end(at.row); ++i) {
      const Reading<T> y = rows.reading(at.row, i);
      for (int64_t j = columns.begin(at.column); y.inside && j < columns.end(at.column); ++j) {
        const Reading<T> x = columns.reading(at.column, j);
        for (int64_t c = 0; x.inside && c < channels; ++c) {
          const T* plane = shifted.input + at.plane + c * shifted.grid.limit[0] * stride;
          const T *above = plane + y.low * stride, *below = plane + y.high * stride, grad = upstream[first + c * cells];
          const T left = below[x.low] - above[x.low], right = below[x.high] - above[x.high];
          const T top = above[x.high] - above[x.low], bottom = below[x.high] - below[x.low];
          if (y.moves) down += grad * (x.low_weight * left + x.high_weight * right);
          if (x.moves) across += grad * (y.low_weight * top + y.high_weight * bottom);
        }
      }
    }
    const T whole = larger(rows.whole * columns.whole, T(1));
    T* result = gradient + region.whole * 2 * cells + region.rest;
    result[0] = across * shifted.reach(columns, 1) / whole;
    result[cells] = down * shifted.reach(rows, 0) / whole;
  }
};

template <typename T>
static ShiftedRegions<T> shifted_of(
    const Tensor& input, const Tensor& rois, const std::optional<Tensor>& offset, int64_t height, int64_t width,
    double scale, int64_t sampling_ratio, double gamma) {
  return {{regions_of<T>(input, rois, height, width, scale), sampling_ratio, true, false},
          input.data<T>(),
          offset ? offset->data<T>() : nullptr,
          input.size(1),
          static_cast<T>(gamma)};
}

static std::optional<Tensor> packed(const std::optional<Tensor>& offset) {
  return offset ? std::optional<Tensor>(offset->contiguous()) : std::nullopt;
}

static Tensor deform_roi_pool(
    const Tensor& input, const Tensor& rois, const std::optional<Tensor>& offset, int64_t height, int64_t width,
    double scale, int64_t sampling_ratio, double gamma) {
  const Tensor image = input.contiguous(), regions = rois.contiguous();
  const std::optional<Tensor> shifts = packed(offset);
  const Tensor output = image.empty({rois.size(0), image.size(1), height, width}, image.dtype());
  dispatch_floating(image, [&](auto zero) {
    using T = decltype(zero);
    const auto shifted = shifted_of<T>(image, regions, shifts, height, width, scale, sampling_ratio, gamma);
    launch(image, output.numel(), 100, PoolShifted<T>{shifted, output.data<T>()});
  });
  return output;
}

static std::tuple<Tensor, Tensor> deform_roi_pool_backward(
    const Tensor& grad, const Tensor& input, const Tensor& rois, const std::optional<Tensor>& offset, int64_t height,
    int64_t width, double scale, int64_t sampling_ratio, double gamma) {
  const Tensor upstream = grad.contiguous(), image = input.contiguous(), regions = rois.contiguous();
  const std::optional<Tensor> shifts = packed(offset);
  const int64_t count = regions.size(0), channels = image.size(1), cells = height * width;
  const Tensor gradient = image.zeros_like();
  const Tensor offset_gradient = image.empty({shifts ? count : 0, 2, height, width}, image.dtype());
  dispatch_floating(image, [&](auto zero) {
    using T = decltype(zero);
    const auto shifted = shifted_of<T>(image, regions, shifts, height, width, scale, sampling_ratio, gamma);
    const PoolShiftedBackward<T> body{shifted, upstream.data<T>(), gradient.data<T>()};
    launch_by_channel(image, count, channels, cells, body);
    const OffsetBackward<T> offset_body{shifted, upstream.data<T>(), offset_gradient.data<T>()};
    if (shifts && channels) launch(image, count * cells, 100 * channels, offset_body);
  });
  return {gradient, channels ? offset_gradient : offset_gradient.zero()};
}

RAYDET_KERNEL(deform_roi_pool);
RAYDET_KERNEL(deform_roi_pool_backward);

}  // namespace raydet
