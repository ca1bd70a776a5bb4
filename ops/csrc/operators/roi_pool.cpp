// RoI pooling (arXiv:1504.08083): the maximum of the pixels under each cell of a grid over each region.
#include "../abi/boxing.h"
#include "../device/regions.h"

namespace raydet {

// Pixels [low, high) under a cell along one axis.
struct Span {
  int64_t low, high;
};

template <typename T>
RAYDET_BODY Span span_of(const Regions<T>& grid, int64_t region, int axis, int64_t cell) {
  const T first = grid.start(region, axis);
  // The last pixel belongs to the region.
  const T extent = (grid.rois[5 * region + 4 - axis] + 1) * grid.scale - first;
  const T step = extent / static_cast<T>(grid.cells[axis]), limit = static_cast<T>(grid.limit[axis]);
  if (!(extent > 0)) return {0, 0};
  const T low = floor(static_cast<T>(cell) * step + first), high = ceil(static_cast<T>(cell + 1) * step + first);
  // Written so that NaN leaves nothing.
  return {low < limit ? static_cast<int64_t>(larger(low, T(0))) : grid.limit[axis],
          high > 0 ? static_cast<int64_t>(smaller(high, limit)) : 0};
}

// The place of the maximum of one cell in one plane, or -1; the first where several are equal.
template <typename T>
struct PoolCell {
  Regions<T> grid;
  const T* input;
  int64_t channels;

  RAYDET_BODY int64_t find(int64_t index) const {
    const int64_t column = index % grid.cells[1], row = index / grid.cells[1] % grid.cells[0];
    const int64_t pooled = index / (grid.cells[1] * grid.cells[0]), region = pooled / channels;
    const int64_t image = grid.image(region), stride = grid.limit[1];
    if (image < 0) return -1;
    const int64_t start = (image * channels + pooled % channels) * grid.limit[0] * stride;
    const Span y = span_of(grid, region, 0, row), x = span_of(grid, region, 1, column);
    int64_t best = -1;
    for (int64_t i = start + y.low * stride; i < start + y.high * stride; i += stride) {
      for (int64_t j = x.low; j < x.high; ++j) {
        if (best < 0 || input[i + j] > input[best]) best = i + j;
      }
    }
    return best;
  }
};

template <typename T>
struct PoolCellForward {
  PoolCell<T> cell;
  T* output;

  RAYDET_BODY void operator()(int64_t index) const {
    const int64_t best = cell.find(index);
    output[index] = best < 0 ? T(0) : cell.input[best];
  }
};

template <typename T>
struct PoolCellBackward {
  PoolCell<T> cell;
  const T* upstream;
  T* gradient;

  RAYDET_BODY void operator()(int64_t index) const {
    const int64_t best = cell.find(index);
    if (best >= 0) accumulate(gradient + best, upstream[index]);
  }
};

template <typename T>
static PoolCell<T> cell_of(const Tensor& input, const Tensor& rois, int64_t height, int64_t width, double scale) {
  return {regions_of<T>(input, rois, height, width, scale), input.data<T>(), input.size(1)};
}

static Tensor roi_pool(const Tensor& input, const Tensor& rois, int64_t height, int64_t width, double scale) {
  const Tensor image = input.contiguous(), regions = rois.contiguous();
  const Tensor output = image.empty({rois.size(0), image.size(1), height, width}, image.dtype());
  dispatch_floating(image, [&](auto zero) {
    using T = decltype(zero);
    const PoolCellForward<T> body{cell_of<T>(image, regions, height, width, scale), output.data<T>()};
    launch(image, output.numel(), 50, body);
  });
  return output;
}

static Tensor roi_pool_backward(
    const Tensor& grad, const Tensor& input, const Tensor& rois, int64_t height, int64_t width, double scale) {
  const Tensor upstream = grad.contiguous(), image = input.contiguous(), regions = rois.contiguous();
  const Tensor gradient = image.zeros_like();
  dispatch_floating(image, [&](auto zero) {
    using T = decltype(zero);
    const PoolCellBackward<T> body{
        cell_of<T>(image, regions, height, width, scale), upstream.data<T>(), gradient.data<T>()};
    launch_by_channel(image, regions.size(0), image.size(1), height * width, body);
  });
  return gradient;
}

RAYDET_KERNEL(roi_pool);
RAYDET_KERNEL(roi_pool_backward);

}  // namespace raydet
