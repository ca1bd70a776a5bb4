// Multi-scale deformable attention (arXiv:2010.04159): every query and head averages values at points of several maps.
#include "../abi/boxing.h"
#include "../device/blocks.h"
#include "../device/math.h"

namespace raydet {

// The cells around a point of one map: index within the map (-1 outside), share of the value, slopes along x and y.
template <typename T>
struct Corners {
  int64_t cell[4];
  T share[4], slope_x[4], slope_y[4];

  RAYDET_BODY Corners(T x, T y, int64_t height, int64_t width) {
    const bool near = x > -1 && y > -1 && x < width && y < height;  // false for NaN
    const T left = near ? std::floor(x) : T(0), top = near ? std::floor(y) : T(0);
    const int64_t column = static_cast<int64_t>(left), row = static_cast<int64_t>(top);
    const T right_share = x - left, bottom_share = y - top;
    for (int k = 0; k < 4; ++k) {
      const int right = k & 1, bottom = k >> 1;
      const bool inside = near && column + right >= 0 && column + right < width && row + bottom >= 0 && row + bottom < height;
      cell[k] = inside ? (row + bottom) * width + column + right : -1;
      const T share_x = right ? right_share : 1 - right_share, share_y = bottom ? bottom_share : 1 - bottom_share;
      share[k] = share_x * share_y;
      slope_x[k] = right ? share_y : -share_y;
      slope_y[k] = bottom ? share_x : -share_x;
    }
  }
};

// A map in the sequence of cells; empty if it would reach beyond the values that there are.
struct Level {
  int64_t height = 0, width = 0, start = 0;

  Level() = default;

  RAYDET_BODY Level(const int64_t* shapes, int64_t level, int64_t cells) {
    for (int64_t i = 0; i <= level; ++i) advance(shapes + 2 * i, cells);
  }

  // Becomes the next map, of this shape.
  RAYDET_BODY void advance(const int64_t* shape, int64_t cells) {
    start += height * width;
    height = shape[0];
    width = shape[1];
    if (height < 0 || width < 0 || (width > 0 && height > quotient(cells - start, width))) height = width = 0;
  }
};

template <typename T>
struct Attention {
  const T *value, *locations, *weights;  // (N, S, M, D), (N, Q, M, L, P, 2), (N, Q, M, L, P)
  const int64_t* shapes;
  int64_t cells, heads, channels, queries, levels, points;
  T* out;  // (N, Q, M, D)

  // First channel of the first cell, for the image and head of a row of (N, Q, M).
  RAYDET_BODY int64_t origin(int64_t row) const {
    const Parts query = divide(row, heads);
    return (quotient(query.whole, queries) * cells * heads + query.rest) * channels;
  }

  RAYDET_BODY Corners<T> corners(int64_t point, const Level& level) const {
    const T x = locations[2 * point] * level.width - T(0.5), y = locations[2 * point + 1] * level.height - T(0.5);
    return Corners<T>(x, y, level.height, level.width);
  }

  template <int kWidth>
  RAYDET_BODY void operator()(Width<kWidth>, int64_t row, int64_t first) const {
    T sum[kWidth] = {};
    int64_t point = row * levels * points;
    Level level;
    for (int64_t l = 0; l < levels; ++l) {
      level.advance(shapes + 2 * l, cells);
      const T* map = value + origin(row) + level.start * heads * channels + first;
      for (int64_t p = 0; p < points; ++p, ++point) {
        const Corners<T> around = corners(point, level);
        for (int k = 0; k < 4; ++k) {
          if (around.cell[k] < 0) continue;
          const T* cell = map + around.cell[k] * heads * channels;
          const T factor = weights[point] * around.share[k];
          for (int i = 0; i < kWidth; ++i) sum[i] += factor * cell[i];
        }
      }
    }
    for (int i = 0; i < kWidth; ++i) out[row * channels + first + i] = sum[i];
  }
};

template <typename T>
struct AttentionGradient {
  Attention<T> attention;
  const T* upstream;  // (N, Q, M, D)
  T *value, *locations, *weights;

  struct Slopes {
    T weight, x, y;
  };

  // Adds to the gradient of the values; returns the other slopes as far as the channels that `blocks` calls for tell.
  template <typename Blocks>
  RAYDET_BODY Slopes operator()(int64_t point, const Level& level, const Blocks& blocks) const {
    const Attention<T>& a = attention;
    const int64_t row = quotient(point, a.levels * a.points), map = a.origin(row) + level.start * a.heads * a.channels;
    const Corners<T> around = a.corners(point, level);
    Slopes slopes{};
    for (int k = 0; k < 4; ++k) {
      if (around.cell[k] < 0) continue;
      const int64_t cell = map + around.cell[k] * a.heads * a.channels;
      const T dot = blocks(a.value + cell, upstream + row * a.channels, value + cell, a.weights[point] * around.share[k]);
      slopes.weight += around.share[k] * dot;
      slopes.x += around.slope_x[k] * dot;
      slopes.y += around.slope_y[k] * dot;
    }
    return slopes;
  }

  RAYDET_BODY void store(int64_t point, const Level& level, const Slopes& slopes) const {
    weights[point] = slopes.weight;
    locations[2 * point] = attention.weights[point] * slopes.x * level.width;
    locations[2 * point + 1] = attention.weights[point] * slopes.y * level.height;
  }
};

// Product of value and upstream over a block of channels; the values' gradient grows by `factor` times upstream.
template <int kWidth, typename T>
RAYDET_BODY T product(const T* value, const T* upstream, T* gradient, T factor) {
  T lanes[kWidth];
  for (int i = 0; i < kWidth; ++i) lanes[i] = value[i] * upstream[i];
  for (int i = 0; i < kWidth; ++i) accumulate(gradient + i, factor * upstream[i]);
  return sum_of<kWidth>(lanes);
}

#ifdef __CUDACC__

// Eight threads share the channels of a point.
template <typename T>
struct PointLanes {
  AttentionGradient<T> body;

  __device__ void operator()(int64_t index) const {
    const int64_t point = index / 8, lane = index % 8, points = body.attention.points;
    const int64_t l = divide(quotient(point, points), body.attention.levels).rest;
    const Level level(body.attention.shapes, l, body.attention.cells);
    auto slopes = body(point, level, [&](const T* value, const T* upstream, T* gradient, T factor) {
      T dot = 0;
      for (int64_t c = lane; c < body.attention.channels; c += 8) {
        dot += product<1>(value + c, upstream + c, gradient + c, factor);
      }
      return dot;
    });
    const unsigned group = 0xffu << (threadIdx.x & 24);
    for (int step = 4; step > 0; step /= 2) {
      slopes.weight += __shfl_xor_sync(group, slopes.weight, step);
      slopes.x += __shfl_xor_sync(group, slopes.x, step);
      slopes.y += __shfl_xor_sync(group, slopes.y, step);
    }
    if (lane == 0) body.store(point, level, slopes);
  }
};

template <typename T>
void launch_gradient(const Tensor& where, int64_t images, const AttentionGradient<T>& body) {
  const Attention<T>& a = body.attention;
  launch(where, images * a.queries * a.heads * a.levels * a.points * 8, 1, PointLanes<T>{body});
}

#else

// One image and head per task: nobody else adds to its values, and queries come in order.
template <typename T>
void launch_gradient(const Tensor&, int64_t images, const AttentionGradient<T>& body) {
  const Attention<T>& a = body.attention;
  const auto blocks = [&](const T* value, const T* upstream, T* gradient, T factor) {
    T dot = 0;
    for_blocks(a.channels, [&](auto width, int64_t c) {
      dot += product<width>(value + c, upstream + c, gradient + c, factor);
    });
    return dot;
  };
  parallel_for(images * a.heads, a.queries * a.levels * a.points * a.channels * 8, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      for (int64_t query = 0; query < a.queries; ++query) {
        int64_t point = ((task / a.heads * a.queries + query) * a.heads + task % a.heads) * a.levels * a.points;
        for (int64_t l = 0; l < a.levels; ++l) {
          const Level level(a.shapes, l, a.cells);
          for (int64_t p = 0; p < a.points; ++p, ++point) body.store(point, level, body(point, level, blocks));
        }
      }
    }
  });
}

#endif

template <typename T>
static Attention<T> attention_of(
    const Tensor& value, const Tensor& shapes, const Tensor& locations, const Tensor& weights, T* out) {
  return {value.data<T>(), locations.data<T>(), weights.data<T>(), shapes.data<int64_t>(), value.size(1),
          value.size(2),   value.size(3),       weights.size(1),   weights.size(3),        weights.size(4), out};
}

static Tensor ms_deform_attn(
    const Tensor& value, const Tensor& spatial_shapes, const Tensor& sampling_locations,
    const Tensor& attention_weights) {
  const Tensor v = value.contiguous(), shapes = spatial_shapes.contiguous();
  const Tensor locations = sampling_locations.contiguous(), weights = attention_weights.contiguous();
  const Tensor out = v.empty({v.size(0), weights.size(1), v.size(2) * v.size(3)}, v.dtype());
  dispatch_floating(v, [&](auto zero) {
    using T = decltype(zero);
    const auto body = attention_of<T>(v, shapes, locations, weights, out.data<T>());
    const int64_t rows = v.size(0) * body.queries * body.heads;
    launch_blocks(v, rows, body.channels, body.levels * body.points * 8, body);
  });
  return out;
}

static std::tuple<Tensor, Tensor, Tensor> ms_deform_attn_backward(
    const Tensor& grad, const Tensor& value, const Tensor& spatial_shapes, const Tensor& sampling_locations,
    const Tensor& attention_weights) {
  const Tensor upstream = grad.contiguous(), v = value.contiguous(), shapes = spatial_shapes.contiguous();
  const Tensor locations = sampling_locations.contiguous(), weights = attention_weights.contiguous();
  const Tensor grad_value = v.zeros_like(), grad_locations = locations.empty_like(), grad_weights = weights.empty_like();
  dispatch_floating(v, [&](auto zero) {
    using T = decltype(zero);
    const AttentionGradient<T> body{
        attention_of<T>(v, shapes, locations, weights, nullptr), upstream.data<T>(), grad_value.data<T>(),
        grad_locations.data<T>(), grad_weights.data<T>()};
    launch_gradient(v, v.size(0), body);
  });
  return {grad_value, grad_locations, grad_weights};
}

RAYDET_KERNEL(ms_deform_attn);
RAYDET_KERNEL(ms_deform_attn_backward);

}  // namespace raydet
