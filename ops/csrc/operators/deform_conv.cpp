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

// A chunk is a run of channels that belong to one deform group and to one group of the convolution.
struct Layout {
  int64_t height, width, channels, samples, rows, deform_groups, groups, chunk;

  Layout(const Tensor& image, const Tensor& positions, int64_t groups)
      : height(image.size(1)), width(image.size(2)), channels(image.size(3)),
        samples(positions.size(1) * positions.size(2)), rows(positions.size(0) * samples),
        deform_groups(positions.size(3)), groups(groups),
        chunk(std::gcd(channels / groups, channels / deform_groups)) {}

  RAYDET_BODY int64_t num_chunks() const { return channels / chunk; }
  RAYDET_BODY int64_t image_start(int64_t row) const { return row / samples * height * width * channels; }
  RAYDET_BODY int64_t deform_group(int64_t first_channel) const { return first_channel / (channels / deform_groups); }

  // Place of a channel in columns of `(groups, rows, channels / groups)`.
  RAYDET_BODY int64_t column(int64_t row, int64_t channel) const {
    const int64_t per_group = channels / groups;
    return (channel / per_group * rows + row) * per_group + channel % per_group;
  }
};

template <typename T>
struct Samples {
  Layout layout;
  const T* positions;  // (rows, deform_groups, 2): y, x in pixels
  const T* mask;       // (rows, deform_groups)

  RAYDET_BODY Corners<T> corners(int64_t row, int64_t group) const {
    const T* position = positions + (row * layout.deform_groups + group) * 2;
    return Corners<T>(position[0], position[1], layout.height, layout.width);
  }

  RAYDET_BODY T strength(int64_t row, int64_t group) const { return mask[row * layout.deform_groups + group]; }
};

template <typename T>
struct Chunk {
  int64_t pixel[4], column;
  T weight[4];
  bool inside;

  RAYDET_BODY Chunk(const Samples<T>& samples, int64_t row, int64_t first_channel) {
    const Layout& layout = samples.layout;
    const int64_t group = layout.deform_group(first_channel);
    const Corners<T> corners = samples.corners(row, group);
    const T strength = samples.strength(row, group);
    const int64_t start = layout.image_start(row) + first_channel;
    for (int i = 0; i < 4; ++i) {
      pixel[i] = start + corners.pixel[i] * layout.channels;
      weight[i] = corners.weight[i] * strength;
    }
    column = layout.column(row, first_channel);
    inside = corners.inside;
  }
};

template <typename T>
struct Gather {
  Samples<T> samples;
  const T* image;
  T* columns;

  RAYDET_BODY Chunk<T> row(int64_t i) const {
    const int64_t num_chunks = samples.layout.num_chunks();
    return Chunk<T>(samples, i / num_chunks, i % num_chunks * samples.layout.chunk);
  }

  RAYDET_BODY void operator()(const Chunk<T>& chunk, int64_t c) const {
    const T sum = (chunk.weight[0] * image[chunk.pixel[0] + c] + chunk.weight[1] * image[chunk.pixel[1] + c]) +
                  (chunk.weight[2] * image[chunk.pixel[2] + c] + chunk.weight[3] * image[chunk.pixel[3] + c]);
    columns[chunk.column + c] = chunk.inside ? sum : T(0);
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
    const Layout& layout = samples.layout;
    const int64_t row = index / layout.deform_groups, group = index % layout.deform_groups;
    const int64_t per_group = layout.channels / layout.deform_groups;
    const Corners<T> corners = samples.corners(row, group);
    const T strength = samples.strength(row, group);
    T dots[4] = {0, 0, 0, 0};  // of the gradient with the channels of each corner
    for (int64_t first = group * per_group; first < (group + 1) * per_group; first += layout.chunk) {
      add_chunk(Chunk<T>(samples, row, first), lane, dots);
    }
    if (lane != 0) return;
    T sums[3] = {0, 0, 0};
    for (int i = 0; corners.inside && i < 4; ++i) {
      if (corners.weight[i] == 0 && corners.slope_y[i] == 0 && corners.slope_x[i] == 0) continue;
      sums[0] += corners.slope_y[i] * dots[i];
      sums[1] += corners.slope_x[i] * dots[i];
      sums[2] += corners.weight[i] * dots[i];
    }
    grad_positions[index * 2] = strength * sums[0];
    grad_positions[index * 2 + 1] = strength * sums[1];
    grad_mask[index] = sums[2];
  }

  RAYDET_BODY void add_chunk(const Chunk<T> chunk, int64_t lane, T (&dots)[4]) const {
    const T *const a = image + chunk.pixel[0], *const b = image + chunk.pixel[1];
    const T *const c = image + chunk.pixel[2], *const d = image + chunk.pixel[3];
    const T* const slope = grad + chunk.column;
    T* const column = columns + chunk.column;
    add_terms(samples.layout.chunk, lane, dots, [&](int64_t i, T(&terms)[4]) {
      const T sum = (chunk.weight[0] * a[i] + chunk.weight[1] * b[i]) + (chunk.weight[2] * c[i] + chunk.weight[3] * d[i]);
      column[i] = chunk.inside ? sum : T(0);
      terms[0] = slope[i] * a[i];
      terms[1] = slope[i] * b[i];
      terms[2] = slope[i] * c[i];
      terms[3] = slope[i] * d[i];
    });
  }
};

template <typename T>
struct Scatter {
  Samples<T> samples;
  const T* grad;
  T* image;

  RAYDET_BODY Chunk<T> row(int64_t i) const { return Gather<T>{samples, nullptr, nullptr}.row(i); }

  RAYDET_BODY void operator()(const Chunk<T>& chunk, int64_t c) const {
    for (int i = 0; i < 4; ++i) {
      if (chunk.weight[i] != 0) accumulate(image + chunk.pixel[i] + c, chunk.weight[i] * grad[chunk.column + c]);
    }
  }
};

#ifdef __CUDACC__

template <typename T>
void scatter(const Tensor& where, const Scatter<T>& body) {
  const Layout& layout = body.samples.layout;
  launch_rows(where, layout.rows * layout.num_chunks(), layout.chunk, 1, body);
}

#else

// Threads share out the channels: whatever their number, an element gets its terms in the order of the rows.
template <typename T>
void scatter(const Tensor&, const Scatter<T>& body) {
  constexpr int64_t kShare = 16;
  const Layout layout = body.samples.layout;
  parallel_for((layout.channels + kShare - 1) / kShare, layout.rows * kShare, [&](int64_t begin, int64_t end) {
    const int64_t low = begin * kShare, high = end * kShare < layout.channels ? end * kShare : layout.channels;
    for (int64_t row = 0; row < layout.rows; ++row) {
      for (int64_t first = low / layout.chunk * layout.chunk; first < high; first += layout.chunk) {
        const Chunk<T> chunk(body.samples, row, first);
        const int64_t start = first < low ? low - first : 0;
        const int64_t stop = first + layout.chunk > high ? high - first : layout.chunk;
        for (int i = 0; i < 4; ++i) {
          if (chunk.weight[i] == 0) continue;
          T* const pixel = body.image + chunk.pixel[i];
          const T* const grad = body.grad + chunk.column;
#pragma GCC ivdep
          for (int64_t c = start; c < stop; ++c) pixel[c] += chunk.weight[i] * grad[c];
        }
      }
    }
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
    launch_rows(pixels, layout.rows * layout.num_chunks(), layout.chunk, 12, body);
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
    launch_lanes(pixels, layout.rows * layout.deform_groups, layout.channels / layout.deform_groups * 20, body);
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
