// Columns of a deformable convolution (arXiv:1703.06211, arXiv:1811.11168): the pixels that the taps of the kernel see,
// sampled bilinearly at given positions. Channels come last, so that a position is worked out once for all of them.
#include <cmath>
#include <numeric>

#include "../abi/boxing.h"
#include "../device/math.h"
#include "../device/sums.h"

namespace raydet {

RAYDET_BODY int64_t clamp(int64_t index, int64_t size) { return larger<int64_t>(smaller(index, size - 1), 0); }

// The pixels around a position and how much each counts; one outside the image counts nothing and is read as its
// neighbour inside.
template <typename T>
struct Corners {
  int64_t pixel[4] = {0, 0, 0, 0};
  T weight[4] = {0, 0, 0, 0}, slope_y[4] = {0, 0, 0, 0}, slope_x[4] = {0, 0, 0, 0};
  bool inside;

  RAYDET_BODY Corners(T y, T x, int64_t height, int64_t width) {
    inside = y > -1 && y < static_cast<T>(height) && x > -1 && x < static_cast<T>(width);  // false for NaN
    if (!inside) return;
    const int64_t top = static_cast<int64_t>(floor(y)), left = static_cast<int64_t>(floor(x));
    const T down = y - static_cast<T>(top), right = x - static_cast<T>(left);
    for (int i = 0; i < 4; ++i) {
      const int64_t row = top + i / 2, column = left + i % 2;
      pixel[i] = clamp(row, height) * width + clamp(column, width);
      if (row < 0 || row >= height || column < 0 || column >= width) continue;
      const T share_y = i / 2 ? down : 1 - down, share_x = i % 2 ? right : 1 - right;
      weight[i] = share_y * share_x;
      slope_y[i] = i / 2 ? share_x : -share_x;
      slope_x[i] = i % 2 ? share_y : -share_y;
    }
  }
};

// Columns are `(groups, rows, channels / groups)`: the channels of a deform group may lie in several pieces there.
struct Layout {
  int64_t height, width, channels, samples, rows, deform_groups, groups, piece;

  Layout(const Tensor& image, const Tensor& positions, int64_t groups)
      : height(image.size(1)), width(image.size(2)), channels(image.size(3)),
        samples(positions.size(1) * positions.size(2)), rows(positions.size(0) * samples),
        deform_groups(positions.size(3)), groups(groups),
        piece(std::gcd(channels / groups, channels / deform_groups)) {}

  RAYDET_BODY int64_t per_deform_group() const { return quotient(channels, deform_groups); }

  RAYDET_BODY int64_t column(int64_t row, int64_t channel) const {
    const int64_t per_group = quotient(channels, groups);
    const Parts group = divide(channel, per_group);
    return (group.whole * rows + row) * per_group + group.rest;
  }

  // Calls `function(offset, column, count)` for the pieces of a deform group; on the GPU for the channels of a lane.
  template <typename Function>
  RAYDET_BODY void for_pieces(
      int64_t row, int64_t deform_group, [[maybe_unused]] int64_t lane, const Function& function) const {
    const int64_t first = deform_group * per_deform_group();
#ifdef __CUDA_ARCH__
    for (int64_t offset = lane; offset < per_deform_group(); offset += kLanes) {
      function(offset, column(row, first + offset), int64_t{1});
    }
#else
    const int64_t per_group = channels / groups;
    int64_t place = column(row, first), left = per_group - first % per_group;
    for (int64_t offset = 0; offset < per_deform_group(); offset += piece) {
      function(offset, place, piece);
      place += piece;
      left -= piece;
      if (left == 0) {
        left = per_group;
        place += (rows - 1) * per_group;
      }
    }
#endif
  }
};

// Where a sample of a deform group begins in the image, at each corner, and what the mask leaves of the weights.
template <typename T>
struct Sample {
  int64_t start[4];
  T weight[4], strength;
  Corners<T> corners;

  RAYDET_BODY Sample(const Layout& layout, const T* positions, const T* mask, int64_t index)
      : strength(mask[index]), corners(positions[index * 2], positions[index * 2 + 1], layout.height, layout.width) {
    const Parts row = divide(index, layout.deform_groups);
    const int64_t image = quotient(row.whole, layout.samples) * layout.height * layout.width;
    for (int i = 0; i < 4; ++i) {
      start[i] = (image + corners.pixel[i]) * layout.channels + row.rest * layout.per_deform_group();
      weight[i] = corners.weight[i] * strength;
    }
  }

  RAYDET_BODY T mix(T a, T b, T c, T d) const {
    const T sum = (weight[0] * a + weight[1] * b) + (weight[2] * c + weight[3] * d);
    return corners.inside ? sum : T(0);
  }
};

template <typename T>
struct Samples {
  Layout layout;
  const T* positions;  // (rows, deform_groups, 2): y, x in pixels
  const T* mask;       // (rows, deform_groups)

  int64_t count() const { return layout.rows * layout.deform_groups; }

  RAYDET_BODY Sample<T> operator[](int64_t index) const { return Sample<T>(layout, positions, mask, index); }

  template <typename Function>
  RAYDET_BODY void for_pieces(int64_t index, int64_t lane, const Function& function) const {
    const Parts row = divide(index, layout.deform_groups);
    layout.for_pieces(row.whole, row.rest, lane, function);
  }
};

template <typename T>
struct Gather {
  Samples<T> samples;
  const T* image;
  T* columns;

  RAYDET_BODY void operator()(int64_t index, int64_t lane) const {
    const Sample<T> sample = samples[index];
    samples.for_pieces(index, lane, [&](int64_t offset, int64_t column, int64_t count) {
      const T *const a = image + sample.start[0] + offset, *const b = image + sample.start[1] + offset;
      const T *const c = image + sample.start[2] + offset, *const d = image + sample.start[3] + offset;
      T* const result = columns + column;
#pragma GCC ivdep
      for (int64_t i = 0; i < count; ++i) result[i] = sample.mix(a[i], b[i], c[i], d[i]);
    });
  }
};

// The columns once more, and from the gradient of the columns that of positions and mask.
template <typename T>
struct GatherBackward {
  Samples<T> samples;
  const T* image;
  const T* grad;
  T* columns;
  T* grad_positions;
  T* grad_mask;

  RAYDET_BODY void operator()(int64_t index, int64_t lane) const {
    const Sample<T> sample = samples[index];
    Sums<4, T> sums;
    samples.for_pieces(index, lane, [&](int64_t offset, int64_t column, int64_t count) {
      const T *const a = image + sample.start[0] + offset, *const b = image + sample.start[1] + offset;
      const T *const c = image + sample.start[2] + offset, *const d = image + sample.start[3] + offset;
      const T* const slope = grad + column;
      T* const result = columns + column;
      sums.add(count, [&](int64_t i, T(&terms)[4]) {
        result[i] = sample.mix(a[i], b[i], c[i], d[i]);
        terms[0] = slope[i] * a[i];
        terms[1] = slope[i] * b[i];
        terms[2] = slope[i] * c[i];
        terms[3] = slope[i] * d[i];
      });
    });
    T dots[4];  // of the gradient with the channels of each corner
    sums.finish(dots);
    if (lane == 0) write(index, sample, dots);
  }

  RAYDET_BODY void write(int64_t index, const Sample<T>& sample, const T (&dots)[4]) const {
    const Corners<T>& corners = sample.corners;
    T y = 0, x = 0, strength = 0;
    for (int i = 0; corners.inside && i < 4; ++i) {
      y += corners.slope_y[i] * dots[i];
      x += corners.slope_x[i] * dots[i];
      strength += corners.weight[i] * dots[i];
    }
    grad_positions[index * 2] = sample.strength * y;
    grad_positions[index * 2 + 1] = sample.strength * x;
    grad_mask[index] = strength;
  }
};

template <typename T>
struct Scatter {
  Samples<T> samples;
  const T* grad;
  T* image;

  RAYDET_BODY void operator()(int64_t index, int64_t lane) const { add(index, lane, 0, samples.layout.channels); }

  // Adds the channels in [low, high).
  RAYDET_BODY void add(int64_t index, int64_t lane, int64_t low, int64_t high) const {
    const int64_t channels = samples.layout.per_deform_group();
    const int64_t first = divide(index, samples.layout.deform_groups).rest * channels;
    if (first >= high || first + channels <= low) return;
    const Sample<T> sample = samples[index];
    samples.for_pieces(index, lane, [&](int64_t offset, int64_t column, int64_t count) {
      const int64_t begin = larger<int64_t>(low - first - offset, 0), end = smaller(high - first - offset, count);
      for (int corner = 0; corner < 4; ++corner) {
        const T weight = sample.weight[corner];
        if (weight == 0) continue;
        T* const pixel = image + sample.start[corner] + offset;
        const T* const slope = grad + column;
#pragma GCC ivdep
        for (int64_t i = begin; i < end; ++i) accumulate(pixel + i, weight * slope[i]);
      }
    });
  }
};

#ifdef __CUDACC__

template <typename T>
void scatter(const Tensor& where, const Scatter<T>& body) {
  launch_lanes(where, body.samples.count(), 1, body);
}

#else

// Threads share out the channels: whatever their number, an element gets its terms in the order of the samples.
template <typename T>
void scatter(const Tensor&, const Scatter<T>& body) {
  constexpr int64_t kShare = 16;
  const int64_t channels = body.samples.layout.channels, count = body.samples.count();
  parallel_for((channels + kShare - 1) / kShare, count * kShare, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < count; ++i) body.add(i, 0, begin * kShare, smaller(end * kShare, channels));
  });
}

#endif

static Tensor deform_columns(const Tensor& image, const Tensor& positions, const Tensor& mask, int64_t groups) {
  const Tensor pixels = image.contiguous(), places = positions.contiguous(), strengths = mask.contiguous();
  const Layout layout(pixels, places, groups);
  const Tensor columns = pixels.empty(
      {groups, places.size(0) * places.size(1), places.size(2), layout.channels / groups}, pixels.dtype());
  dispatch_floating(pixels, [&](auto zero) {
    using T = decltype(zero);
    const Gather<T> body{{layout, places.data<T>(), strengths.data<T>()}, pixels.data<T>(), columns.data<T>()};
    launch_lanes(pixels, body.samples.count(), layout.per_deform_group() * 10, body);
  });
  return columns;
}

static std::tuple<Tensor, Tensor, Tensor> deform_columns_backward(
    const Tensor& grad, const Tensor& image, const Tensor& positions, const Tensor& mask) {
  const Tensor slopes = grad.contiguous(), pixels = image.contiguous();
  const Tensor places = positions.contiguous(), strengths = mask.contiguous();
  const Tensor columns = slopes.empty_like(), grad_positions = places.empty_like(), grad_mask = strengths.empty_like();
  const Layout layout(pixels, places, slopes.size(0));
  dispatch_floating(pixels, [&](auto zero) {
    using T = decltype(zero);
    const GatherBackward<T> body{
        {layout, places.data<T>(), strengths.data<T>()}, pixels.data<T>(),         slopes.data<T>(),
        columns.data<T>(),                               grad_positions.data<T>(), grad_mask.data<T>()};
    launch_lanes(pixels, body.samples.count(), layout.per_deform_group() * 20, body);
  });
  return {columns, grad_positions, grad_mask};
}

static void deform_columns_scatter(
    const Tensor& image, const Tensor& grad, const Tensor& positions, const Tensor& mask) {
  const Tensor slopes = grad.contiguous(), places = positions.contiguous(), strengths = mask.contiguous();
  dispatch_floating(image, [&](auto zero) {
    using T = decltype(zero);
    scatter(image, Scatter<T>{
        {Layout(image, places, slopes.size(0)), places.data<T>(), strengths.data<T>()}, slopes.data<T>(),
        image.data<T>()});
  });
}

RAYDET_KERNEL(deform_columns);
RAYDET_KERNEL(deform_columns_backward);
RAYDET_KERNEL(deform_columns_scatter);

}  // namespace raydet
