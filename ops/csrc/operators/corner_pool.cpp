// Corner pooling (arXiv:1808.01244): the running maximum along the rows or columns of a map.
#include <limits>

#include "../abi/boxing.h"
#include "../device/blocks.h"

namespace raydet {

// Lines of a map, a block side by side. `kDown`: lines are columns, whose neighbours are neighbours in memory.
template <bool kDown>
struct Lines {
  static constexpr int kWidest = kDown ? 32 : 8;  // more rows at once would crowd each other out of the cache

  int64_t height, width;
  bool reverse;

  RAYDET_BODY int64_t count() const { return kDown ? width : height; }
  RAYDET_BODY int64_t length() const { return kDown ? height : width; }
  RAYDET_BODY int64_t across() const { return kDown ? 1 : width; }

  // The place of the first line at a step on the way.
  RAYDET_BODY int64_t place(int64_t plane, int64_t line, int64_t step) const {
    const int64_t along = kDown ? width : 1, at = reverse ? length() - 1 - step : step;
    return plane * height * width + line * across() + at * along;
  }
};

// Of equal values the latest counts; what is not a number counts as the largest.
template <typename T>
RAYDET_BODY bool takes_over(T value, T best) {
  return value >= best || value != value;
}

template <typename T, bool kDown>
struct RunningMaximum {
  Lines<kDown> lines;
  const T* x;
  T* out;

  template <int kWidth>
  RAYDET_BODY void operator()(Width<kWidth>, int64_t plane, int64_t line) const {
    T best[kWidth];
    for (int i = 0; i < kWidth; ++i) best[i] = -std::numeric_limits<T>::infinity();
    for (int64_t step = 0; step < lines.length(); ++step) {
      const int64_t place = lines.place(plane, line, step);
      for (int i = 0; i < kWidth; ++i) {
        const T value = x[place + i * lines.across()];
        best[i] = takes_over(value, best[i]) ? value : best[i];
        out[place + i * lines.across()] = best[i];
      }
    }
  }
};

// On the way back gradients are gathered, and handed over where the maximum was found.
template <typename T, bool kDown>
struct MaximumGradient {
  Lines<kDown> lines;
  const T *x, *maximum, *upstream;
  T* out;

  template <int kWidth>
  RAYDET_BODY void operator()(Width<kWidth>, int64_t plane, int64_t line) const {
    T gathered[kWidth] = {};
    for (int64_t step = lines.length() - 1; step >= 0; --step) {
      const int64_t place = lines.place(plane, line, step), before = lines.place(plane, line, step - 1);
      for (int i = 0; i < kWidth; ++i) {
        const int64_t at = place + i * lines.across();
        const T best = step > 0 ? maximum[before + i * lines.across()] : -std::numeric_limits<T>::infinity();
        const bool found = takes_over(x[at], best);
        gathered[i] += upstream[at];
        out[at] = found ? gathered[i] : T(0);
        gathered[i] = found ? T(0) : gathered[i];
      }
    }
  }
};

template <bool kDown>
static Tensor pool(const Tensor& x, bool reverse) {
  const Tensor out = x.empty_like();
  const Lines<kDown> lines{x.size(2), x.size(3), reverse};
  dispatch_floating(x, [&](auto zero) {
    using T = decltype(zero);
    const RunningMaximum<T, kDown> body{lines, x.data<T>(), out.data<T>()};
    launch_blocks<Lines<kDown>::kWidest>(x, x.size(0) * x.size(1), lines.count(), lines.length(), body);
  });
  return out;
}

template <bool kDown>
static Tensor pool_backward(const Tensor& grad, const Tensor& x, const Tensor& maximum, bool reverse) {
  const Tensor out = x.empty_like();
  const Lines<kDown> lines{x.size(2), x.size(3), reverse};
  dispatch_floating(x, [&](auto zero) {
    using T = decltype(zero);
    const MaximumGradient<T, kDown> body{lines, x.data<T>(), maximum.data<T>(), grad.data<T>(), out.data<T>()};
    launch_blocks<Lines<kDown>::kWidest>(x, x.size(0) * x.size(1), lines.count(), lines.length(), body);
  });
  return out;
}

static Tensor corner_pool(const Tensor& x, bool down, bool reverse) {
  return down ? pool<true>(x.contiguous(), reverse) : pool<false>(x.contiguous(), reverse);
}

static Tensor corner_pool_backward(
    const Tensor& grad, const Tensor& x, const Tensor& maximum, bool down, bool reverse) {
  const Tensor upstream = grad.contiguous(), input = x.contiguous(), best = maximum.contiguous();
  return down ? pool_backward<true>(upstream, input, best, reverse) : pool_backward<false>(upstream, input, best, reverse);
}

RAYDET_KERNEL(corner_pool);
RAYDET_KERNEL(corner_pool_backward);

}  // namespace raydet
