// Content-aware reassembly of features (arXiv:1905.02188): every pixel of the larger map is a weighted sum of a window.
#include "../abi/boxing.h"
#include "../device/blocks.h"
#include "../device/math.h"

namespace raydet {

// How features lie in memory: the CPU wants the channels of a pixel side by side, the GPU the pixels of a channel.
#ifdef __CUDACC__
constexpr bool kChannelsTogether = false;
#else
constexpr bool kChannelsTogether = true;
#endif

struct Window {
  int64_t images, channels, height, width, groups, kernel, scale;  // height and width of the smaller map

  RAYDET_BODY int64_t cells() const { return height * width; }
  RAYDET_BODY int64_t out_width() const { return width * scale; }
  RAYDET_BODY int64_t area() const { return cells() * scale * scale; }
  RAYDET_BODY int64_t taps() const { return kernel * kernel; }
  RAYDET_BODY int64_t group_channels() const { return quotient(channels, groups); }

  // The first weight of the group of a channel, for pixel 0 of the larger map; the next one is `area()` further on.
  RAYDET_BODY int64_t weights(int64_t image, int64_t channel) const {
    return (image * groups + quotient(channel, group_channels())) * taps() * area();
  }

  // The place of a channel of a pixel in maps of so many pixels, and the steps from there.
  RAYDET_BODY int64_t place(int64_t image, int64_t pixel, int64_t channel, int64_t pixels) const {
    return image * channels * pixels + pixel * pixel_step() + channel * channel_step(pixels);
  }
  RAYDET_BODY int64_t pixel_step() const { return kChannelsTogether ? channels : 1; }
  RAYDET_BODY int64_t channel_step(int64_t pixels) const { return kChannelsTogether ? 1 : pixels; }
};

template <int kWidth, typename T>
RAYDET_BODY void add_scaled(T (&sum)[kWidth], T factor, const T* values) {
  for (int i = 0; i < kWidth; ++i) sum[i] += factor * values[i];
}

// One pixel of the larger map, for a block of channels.
template <typename T>
struct Reassembly {
  Window window;
  const T *features, *masks;

  template <int kWidth>
  RAYDET_BODY void operator()(
      Width<kWidth>, int64_t image, int64_t row, int64_t column, int64_t channel, T* out, int64_t step) const {
    const Window& w = window;
    const T* mask = masks + w.weights(image, channel) + row * w.out_width() + column;
    const T* cells = features + w.place(image, 0, channel, w.cells());
    const int64_t top = quotient(row, w.scale) - w.kernel / 2, left = quotient(column, w.scale) - w.kernel / 2;
    T sum[kWidth] = {};
    for (int64_t i = 0; i < w.kernel; ++i) {
      const int64_t y = top + i;
      if (y < 0 || y >= w.height) continue;
      for (int64_t j = 0; j < w.kernel; ++j) {
        const int64_t x = left + j;
        if (x < 0 || x >= w.width) continue;
        add_scaled(sum, mask[(i * w.kernel + j) * w.area()], cells + (y * w.width + x) * w.pixel_step());
      }
    }
    for (int i = 0; i < kWidth; ++i) out[i * step] = sum[i];
  }
};

// The gradient of one pixel of the features, for a block of channels: from every pixel whose window it lies in.
template <typename T>
struct FeatureGradient {
  Window window;
  const T *upstream, *masks;

  template <int kWidth>
  RAYDET_BODY void operator()(
      Width<kWidth>, int64_t image, int64_t row, int64_t column, int64_t channel, T* out, int64_t step) const {
    const Window& w = window;
    const T* mask = masks + w.weights(image, channel);
    const T* cells = upstream + w.place(image, 0, channel, w.area());
    T sum[kWidth] = {};
    for (int64_t i = 0; i < w.kernel; ++i) {
      const int64_t y = row - i + w.kernel / 2;
      if (y < 0 || y >= w.height) continue;
      for (int64_t j = 0; j < w.kernel; ++j) {
        const int64_t x = column - j + w.kernel / 2;
        if (x < 0 || x >= w.width) continue;
        for (int64_t part = 0; part < w.scale * w.scale; ++part) {
          const Parts at = divide(part, w.scale);
          const int64_t pixel = (y * w.scale + at.whole) * w.out_width() + x * w.scale + at.rest;
          add_scaled(sum, mask[(i * w.kernel + j) * w.area() + pixel], cells + pixel * w.pixel_step());
        }
      }
    }
    for (int i = 0; i < kWidth; ++i) out[i * step] = sum[i];
  }
};

// The gradient of one weight: the product of the features that it weighs with the gradient of their sum.
template <typename T>
struct MaskGradient {
  Window window;
  const T *upstream, *features;
  T* out;

  RAYDET_BODY void operator()(int64_t image, int64_t group, int64_t tap, int64_t pixel) const {
    const Window& w = window;
    const Parts row = divide(pixel, w.out_width()), from = divide(tap, w.kernel);
    const int64_t y = quotient(row.whole, w.scale) + from.whole - w.kernel / 2;
    const int64_t x = quotient(row.rest, w.scale) + from.rest - w.kernel / 2;
    const bool inside = y >= 0 && y < w.height && x >= 0 && x < w.width;
    const int64_t channel = group * w.group_channels();
    const T* a = upstream + w.place(image, pixel, channel, w.area());
    const T* b = features + w.place(image, y * w.width + x, channel, w.cells());
    T sum = 0;
    for_blocks(inside ? w.group_channels() : 0, [&](auto width, int64_t first) {
      T lanes[width];
      const T *p = a + first * w.channel_step(w.area()), *q = b + first * w.channel_step(w.cells());
      for (int i = 0; i < width; ++i) lanes[i] = p[i] * q[i];
      sum += sum_of<width>(lanes);
    });
    out[((image * w.groups + group) * w.taps() + tap) * w.area() + pixel] = sum;
  }

#ifdef __CUDACC__
  RAYDET_BODY void operator()(int64_t index) const {
    const Parts plane = divide(index, window.area()), tap = divide(plane.whole, window.taps());
    const Parts group = divide(tap.whole, window.groups);
    (*this)(group.whole, group.rest, tap.rest, plane.rest);
  }
#else
  // All weights of a pixel in turn, as they share the pixel and most of the features.
  RAYDET_BODY void operator()(int64_t index) const {
    for (int64_t group = 0; group < window.groups; ++group) {
      for (int64_t tap = 0; tap < window.taps(); ++tap) {
        (*this)(index / window.area(), group, tap, index % window.area());
      }
    }
  }
#endif
};

#ifdef __CUDACC__

template <typename T>
Tensor arranged(const Tensor& maps) {
  return maps.contiguous();
}

template <typename T, typename Body>
struct EveryPixel {
  int64_t channels, height, width;
  T* out;
  Body body;

  RAYDET_BODY void operator()(int64_t index) const {
    const Parts row = divide(index, width), plane = divide(row.whole, height), image = divide(plane.whole, channels);
    body(Width<1>{}, image.whole, plane.rest, row.rest, image.rest, out + index, 1);
  }
};

template <typename T, typename Body>
void launch_pixels(const Tensor& out, int64_t, int64_t cost, const Body& body) {
  const EveryPixel<T, Body> every{out.size(1), out.size(2), out.size(3), out.data<T>(), body};
  launch(out, out.numel(), cost, every);
}

template <typename T>
void launch_masks(const Tensor& out, const MaskGradient<T>& body) {
  launch(out, out.numel(), 1, body);
}

#else

constexpr int64_t kTile = 16;

// `(N, C, H, W)` to `(N, H, W, C)`, in tiles, so that whole cache lines are read and written.
template <typename T>
Tensor arranged(const Tensor& maps) {
  const Tensor given = maps.contiguous();
  const int64_t channels = given.size(1), pixels = given.size(2) * given.size(3);
  const Tensor result = given.empty<T>({given.size(0), given.size(2), given.size(3), channels});
  const int64_t tiles = (pixels + kTile - 1) / kTile;
  const T* from = given.data<T>();
  T* to = result.data<T>();
  parallel_for(given.size(0) * tiles, kTile * channels, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      const int64_t start = index / tiles * channels * pixels, tile = index % tiles * kTile;
      const int64_t last = smaller(tile + kTile, pixels);
      for (int64_t first = 0; first < channels; first += kTile) {
        for (int64_t pixel = tile; pixel < last; ++pixel) {
          for (int64_t c = first; c < smaller(first + kTile, channels); ++c) {
            to[start + pixel * channels + c] = from[start + c * pixels + pixel];
          }
        }
      }
    }
  });
  return result;
}

// `body(Width<w>{}, image, row, column, channel, out, step)` for all of `(N, C, H, W)`. A few pixels of a few channels are
// computed side by side in the cache, then written as rows of pixels.
template <typename T, typename Body>
void launch_pixels(const Tensor& out, int64_t groups, int64_t cost, const Body& body) {
  const int64_t channels = out.size(1), height = out.size(2), width = out.size(3), share = channels / groups;
  T* planes = out.data<T>();
  parallel_for(out.size(0) * height, width * channels * cost, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      const int64_t image = index / height, row = index % height;
      for (int64_t column = 0; column < width; column += kTile) {
        const int64_t count = smaller(kTile, width - column);
        for (int64_t group = 0; group < groups; ++group) {
          for_blocks(share, [&](auto block, int64_t first) {
            const int64_t channel = group * share + first;
            T tile[block * kTile];
            for (int64_t p = 0; p < count; ++p) body(block, image, row, column + p, channel, tile + p, kTile);
            for (int64_t i = 0; i < block; ++i) {
              T* line = planes + ((image * channels + channel + i) * height + row) * width + column;
              std::memcpy(line, tile + i * kTile, count * sizeof(T));
            }
          });
        }
      }
    }
  });
}

template <typename T>
void launch_masks(const Tensor& out, const MaskGradient<T>& body) {
  const Window& w = body.window;
  launch(out, w.images * w.area(), w.taps() * w.channels, body);
}

#endif

static Window window_of(const Tensor& features, int64_t kernel, int64_t groups, int64_t scale) {
  return {features.size(0), features.size(1), features.size(2), features.size(3), groups, kernel, scale};
}

static Tensor carafe(
    const Tensor& features, const Tensor& masks, int64_t kernel_size, int64_t group_size, int64_t scale_factor) {
  const Window w = window_of(features, kernel_size, group_size, scale_factor);
  const Tensor weights = masks.contiguous();
  const Tensor out = features.empty({w.images, w.channels, w.height * w.scale, w.out_width()}, features.dtype());
  dispatch_floating(features, [&](auto zero) {
    using T = decltype(zero);
    const Tensor cells = arranged<T>(features);
    launch_pixels<T>(out, w.groups, w.taps(), Reassembly<T>{w, cells.data<T>(), weights.data<T>()});
  });
  return out;
}

static std::tuple<Tensor, Tensor> carafe_backward(
    const Tensor& grad, const Tensor& features, const Tensor& masks, int64_t kernel_size, int64_t group_size,
    int64_t scale_factor) {
  const Window w = window_of(features, kernel_size, group_size, scale_factor);
  const Tensor weights = masks.contiguous(), grad_features = features.empty_like(), grad_masks = weights.empty_like();
  dispatch_floating(features, [&](auto zero) {
    using T = decltype(zero);
    const Tensor cells = arranged<T>(features), upstream = arranged<T>(grad);
    const FeatureGradient<T> gathered{w, upstream.data<T>(), weights.data<T>()};
    launch_pixels<T>(grad_features, w.groups, w.taps() * w.scale * w.scale, gathered);
    launch_masks(grad_masks, MaskGradient<T>{w, upstream.data<T>(), cells.data<T>(), grad_masks.data<T>()});
  });
  return {grad_features, grad_masks};
}

RAYDET_KERNEL(carafe);
RAYDET_KERNEL(carafe_backward);

}  // namespace raydet
