// RoI pooling (arXiv:1504.08083): the maximum of the pixels under each cell of a grid over each region.
#include <algorithm>
#include <vector>

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

#ifdef __CUDACC__

// The place of the maximum of one cell in one plane, or -1; the first where several are equal.
template <typename T>
struct PoolCell {
  Regions<T> grid;
  const T* input;
  int64_t channels;

  RAYDET_BODY int64_t find(int64_t index) const {
    const Parts rows = divide(index, grid.cells[1]), planes = divide(rows.whole, grid.cells[0]);
    const Parts regions = divide(planes.whole, channels);
    const int64_t image = grid.image(regions.whole), stride = grid.limit[1];
    if (image < 0) return -1;
    const int64_t start = (image * channels + regions.rest) * grid.limit[0] * stride;
    const Span y = span_of(grid, regions.whole, 0, planes.rest), x = span_of(grid, regions.whole, 1, rows.rest);
    int64_t best = -1;
    T largest = 0;
    for (int64_t i = start + y.low * stride; i < start + y.high * stride; i += stride) {
      for (int64_t j = x.low; j < x.high; ++j) {
        const T value = input[i + j];
        if (best < 0 || value > largest) best = i + j, largest = value;
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

#else

// One plane at a time: the maximum of the rows under a cell, many columns at once, then that of its columns.
template <typename T>
class PlaneMaxima {
 public:
  PlaneMaxima(const Regions<T>& grid, int64_t channels) : grid_(grid), channels_(channels) {
    for (int64_t region = 0; region < grid.count; ++region) {
      for (int axis = 0; axis < 2; ++axis) {
        for (int64_t cell = 0; cell < grid.cells[axis]; ++cell) spans_.push_back(span_of(grid, region, axis, cell));
      }
    }
  }

  void forward(const T* input, T* output) const {
    parallel_for(grid_.count, channels_ * cells() * 20, [&](int64_t begin, int64_t end) {
      Maxima row(grid_.limit[1]);
      for (int64_t i = begin * channels_; i < end * channels_; ++i) pool(input, i, output + i * cells(), row);
    });
  }

  // Every plane belongs to one thread; of equal pixels the first in a cell takes the gradient.
  void backward(const T* input, const T* output, const T* upstream, T* gradient) const {
    parallel_for(channels_, grid_.count * cells() * 40, [&](int64_t begin, int64_t end) {
      Maxima row(grid_.limit[1]);
      for (int64_t channel = begin; channel < end; ++channel) {
        for (int64_t i = channel; i < grid_.count * channels_; i += channels_) {
          spread(input, i, output + i * cells(), upstream + i * cells(), gradient, row);
        }
      }
    });
  }

 private:
  // The maximum of every column of a few rows, and in which of them it came first: a number of the same width, so that
  // both are found side by side.
  struct Maxima {
    explicit Maxima(int64_t width) : value(width), first(width) {}

    template <bool kWhere>
    void take(const T* top, int64_t stride, int64_t count, int64_t left, int64_t right) {
      T *best = value.data(), *place = first.data();
      for (int64_t c = left; c < right; ++c) best[c] = top[c], place[c] = 0;
      for (int64_t n = 1; n < count; ++n) {
        const T* row = top + n * stride;
#pragma GCC ivdep
        for (int64_t c = left; c < right; ++c) {
          // Later rows have larger numbers; written so that every element is stored, which is cheaper than some.
          if constexpr (kWhere) place[c] = larger(row[c] > best[c] ? static_cast<T>(n) : T(0), place[c]);
          best[c] = larger(row[c], best[c]);
        }
      }
    }

    std::vector<T> value, first;
  };

  int64_t cells() const { return grid_.cells[0] * grid_.cells[1]; }
  const Span* rows(int64_t region) const { return spans_.data() + region * (grid_.cells[0] + grid_.cells[1]); }
  const Span* columns(int64_t region) const { return rows(region) + grid_.cells[0]; }

  // Where the plane of region and channel `i` starts; -1 if there is none.
  int64_t start_of(int64_t i) const {
    const int64_t image = grid_.image(i / channels_);
    return image < 0 ? -1 : (image * channels_ + i % channels_) * grid_.limit[0] * grid_.limit[1];
  }

  void pool(const T* input, int64_t i, T* pooled, Maxima& row) const {
    std::fill(pooled, pooled + cells(), T(0));
    if (start_of(i) < 0) return;
    const Span *y = rows(i / channels_), *x = columns(i / channels_);
    const int64_t stride = grid_.limit[1], left = x[0].low, right = x[grid_.cells[1] - 1].high;
    for (int64_t p = 0; p < grid_.cells[0]; ++p, pooled += grid_.cells[1]) {
      if (y[p].low >= y[p].high) continue;
      const T* top = input + start_of(i) + y[p].low * stride;
      row.template take<false>(top, stride, y[p].high - y[p].low, left, right);
      for (int64_t q = 0; q < grid_.cells[1]; ++q) {
        if (x[q].low >= x[q].high) continue;
        pooled[q] = row.value[x[q].low];
        for (int64_t c = x[q].low + 1; c < x[q].high; ++c) pooled[q] = larger(row.value[c], pooled[q]);
      }
    }
  }

  void spread(const T* input, int64_t i, const T* largest, const T* upstream, T* gradient, Maxima& row) const {
    if (start_of(i) < 0) return;
    const Span *y = rows(i / channels_), *x = columns(i / channels_);
    const int64_t stride = grid_.limit[1], left = x[0].low, right = x[grid_.cells[1] - 1].high;
    for (int64_t p = 0; p < grid_.cells[0]; ++p, largest += grid_.cells[1], upstream += grid_.cells[1]) {
      if (y[p].low >= y[p].high) continue;
      const int64_t start = start_of(i) + y[p].low * stride;
      row.template take<true>(input + start, stride, y[p].high - y[p].low, left, right);
      for (int64_t q = 0; q < grid_.cells[1]; ++q) {
        const int64_t place = find(row, x[q], largest[q], stride);
        if (place < kNowhere) gradient[start + place] += upstream[q];
      }
    }
  }

  // Where, from the first of the rows on, the first pixel of this value is; kNowhere if there is none.
  static int64_t find(const Maxima& row, Span x, T value, int64_t stride) {
    int64_t place = kNowhere;
    for (int64_t c = x.low; c < x.high; ++c) {
      // Computed, as nobody could foretell a branch.
      const int64_t here = static_cast<int64_t>(row.first[c]) * stride + c;
      place = smaller(place, here + kNowhere * (row.value[c] != value));
    }
    return place;
  }

  static constexpr int64_t kNowhere = int64_t{1} << 62;

  Regions<T> grid_;
  int64_t channels_;
  std::vector<Span> spans_;
};

#endif

static Tensor roi_pool(const Tensor& input, const Tensor& rois, int64_t height, int64_t width, double scale) {
  const Tensor image = input.contiguous(), regions = rois.contiguous();
  const Tensor output = image.empty({rois.size(0), image.size(1), height, width}, image.dtype());
  dispatch_floating(image, [&](auto zero) {
    using T = decltype(zero);
    const Regions<T> grid = regions_of<T>(image, regions, height, width, scale);
#ifdef __CUDACC__
    const PoolCell<T> cell{grid, image.data<T>(), image.size(1)};
    launch(image, output.numel(), 1, PoolCellForward<T>{cell, output.data<T>()});
#else
    if (output.numel()) PlaneMaxima<T>(grid, image.size(1)).forward(image.data<T>(), output.data<T>());
#endif
  });
  return output;
}

static Tensor roi_pool_backward(
    const Tensor& grad, const Tensor& input, const Tensor& rois, const Tensor& output, int64_t height, int64_t width,
    double scale) {
  const Tensor upstream = grad.contiguous(), image = input.contiguous(), regions = rois.contiguous();
  const Tensor largest = output.contiguous();
  const Tensor gradient = image.zeros_like();
  dispatch_floating(image, [&](auto zero) {
    using T = decltype(zero);
    const Regions<T> grid = regions_of<T>(image, regions, height, width, scale);
    const T *values = image.data<T>(), *grads = upstream.data<T>();
#ifdef __CUDACC__
    const PoolCell<T> cell{grid, values, image.size(1)};
    launch_scatter(image, upstream.numel(), 1, PoolCellBackward<T>{cell, grads, gradient.data<T>()});
#else
    const PlaneMaxima<T> maxima(grid, image.size(1));
    if (upstream.numel()) maxima.backward(values, largest.data<T>(), grads, gradient.data<T>());
#endif
  });
  return gradient;
}

RAYDET_KERNEL(roi_pool);
RAYDET_KERNEL(roi_pool_backward);

}  // namespace raydet
